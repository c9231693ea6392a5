import logging
import socket
import subprocess
import sys
from contextlib import closing
from urllib.request import urlopen

import pytest
from undertone_telemetry import Kind, Measurement, Metric, Telemetry, TelemetryError, TelemetrySettings
from undertone_telemetry.dogstatsd import DogStatsDAdapter
from undertone_telemetry.testing import udp_agent

STEPS = Metric("steps_total", Kind.COUNTER, "Steps.")


def measure(steps: int) -> list[Measurement]:
    return [Measurement(STEPS, steps)]


def scrape(telemetry: Telemetry) -> str:
    with urlopen(f"http://localhost:{telemetry.metrics_port}/metrics") as response:
        return str(response.read().decode())


def test_every_adapter_that_is_switched_on_records_events() -> None:
    with udp_agent() as agent:
        with closing(Telemetry(TelemetrySettings(metrics_port=0, dogstatsd=agent.address), (STEPS,))) as telemetry:
            telemetry.start()
            telemetry.listener(measure)(3)
            assert "steps_total 3.0" in scrape(telemetry)
        assert [(metric.name, metric.value) for metric in agent.metrics()] == [("steps", 3)]


def test_lost_packets_are_counted_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        absent = f"127.0.0.1:{free.getsockname()[1]}"
    with closing(Telemetry(TelemetrySettings(metrics_port=0, dogstatsd=absent), (STEPS,))) as telemetry:
        telemetry.start()
        listener = telemetry.listener(measure)
        _, dogstatsd = telemetry.adapters
        assert isinstance(dogstatsd, DogStatsDAdapter)
        while 'undertone_telemetry_errors_total{adapter="dogstatsd"}' not in scrape(telemetry):
            listener(1)
            dogstatsd.flush()
    assert sum("were lost" in record.getMessage() for record in caplog.records) == 1


def test_a_taken_port_is_a_telemetry_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            closing(Telemetry(TelemetrySettings(metrics_port=port, metrics_host="127.0.0.1"), (STEPS,))) as telemetry,
            pytest.raises(TelemetryError, match=rf"--metrics-port {port} cannot be opened on 127.0.0.1 \(.+\); choose"),
        ):
            telemetry.start()


@pytest.mark.parametrize(
    ("program", "libraries"),
    [("undertone_telemetry", {"grpc"}), ("undertone_cli.__main__", set()), ("undertone_sidecar.__main__", set())],
)
def test_no_library_is_imported_for_what_is_off(program: str, libraries: set[str]) -> None:
    script = f"""
import sys
import {program}
from undertone_telemetry import Telemetry, TelemetrySettings, logs
settings = TelemetrySettings(otlp_endpoint="http://collector:4317")
logs.configure(settings.log_format, traced=settings.traced)
telemetry = Telemetry(settings, ())
assert telemetry.tracing is None
telemetry.start(), telemetry.listener(lambda event: ())(1), telemetry.close()
print(sorted({libraries | {"prometheus_client", "datadog", "opentelemetry"}} & set(sys.modules)))
"""
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"
