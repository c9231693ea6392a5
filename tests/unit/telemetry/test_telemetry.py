import logging
import re
import socket
import subprocess
import sys
from contextlib import closing
from typing import Any
from urllib.request import urlopen

import pytest
from undertone_telemetry.dogstatsd import DogStatsD
from undertone_telemetry.metric import Kind, Measurement, Metric
from undertone_telemetry.settings import TelemetryError, TelemetrySettings
from undertone_telemetry.telemetry import Telemetry
from undertone_telemetry.testing import udp_agent

STEPS = Metric("steps_total", Kind.COUNTER, "Steps taken.")


def measure(steps: int) -> list[Measurement]:
    return [Measurement(STEPS, steps)]


def page(telemetry: Telemetry) -> str:
    with urlopen(f"http://localhost:{telemetry.metrics_port}/metrics") as response:
        return str(response.read().decode())


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"metrics_port": 70000}, "--metrics-port is 70000; it must be at least 0 and at most 65535"),
        ({"dogstatsd": "agent"}, "--dogstatsd is 'agent'; write host:port, or unix:///path/to/socket"),
        ({"dogstatsd": "agent:http"}, "--dogstatsd is 'agent:http'; write"),
        ({"dogstatsd": "unix://dsd.sock"}, "--dogstatsd is 'unix://dsd.sock'; write"),
        ({"pushgateway": "gateway:9091"}, "--pushgateway is 'gateway:9091'; write a URL, such as http://pushgateway:9091"),
        ({"log_format": "xml"}, "--log-format is 'xml'; choose one of plain, json"),
    ],
)
def test_what_is_wrong_is_said_by_the_name_of_the_flag(wrong: dict[str, str], problem: str) -> None:
    with pytest.raises(TelemetryError) as error:
        TelemetrySettings(**wrong)  # type: ignore[arg-type]
    assert problem in str(error.value)


@pytest.mark.parametrize(
    ("settings", "flag", "module", "extra"),
    [
        ({"metrics_port": 0}, "--metrics-port", "prometheus_client", "prometheus"),
        ({"pushgateway": "http://gateway:9091"}, "--pushgateway", "prometheus_client", "prometheus"),
        ({"dogstatsd": "agent:8125"}, "--dogstatsd", "datadog", "datadog"),
        (
            {"trace_sample": 1, "otlp_endpoint": "http://collector:4317"},
            "--trace-sample",
            "opentelemetry.exporter.otlp.proto.grpc",
            "otel",
        ),
    ],
)
def test_a_setting_whose_extra_is_not_installed_names_the_remedy(
    settings: dict[str, Any], flag: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    TelemetrySettings(**settings)
    monkeypatch.setitem(sys.modules, module, None)
    remedy = f"{flag} needs packages that are not installed: pip install 'undertone-telemetry[{extra}]'"
    with pytest.raises(TelemetryError, match=f"^{re.escape(remedy)}$"):
        TelemetrySettings(**settings)
    TelemetrySettings()


@pytest.mark.parametrize(
    "address", ["agent:8125", "10.0.0.1:8125", "[::1]:8125", "udp://agent:8125", "unix:///run/dsd.sock", "unixstream:///dsd"]
)
def test_addresses_as_the_agent_writes_them_are_taken(address: str) -> None:
    assert TelemetrySettings(dogstatsd=address).dogstatsd == address


def test_every_adapter_that_is_switched_on_hears_of_everything() -> None:
    with udp_agent() as agent:
        with closing(Telemetry(TelemetrySettings(metrics_port=0, dogstatsd=agent.address), (STEPS,))) as telemetry:
            telemetry.start()
            telemetry.listener(measure)(3)
            assert "steps_total 3.0" in page(telemetry)
        assert [(line.name, line.value) for line in agent.lines()] == [("steps", 3)]


def test_lost_packets_are_counted_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{taken.getsockname()[1]}"
    with closing(Telemetry(TelemetrySettings(metrics_port=0, dogstatsd=nobody), (STEPS,))) as telemetry:
        telemetry.start()
        listener = telemetry.listener(measure)
        _, dogstatsd = telemetry.adapters
        assert isinstance(dogstatsd, DogStatsD)
        while 'undertone_telemetry_errors_total{adapter="dogstatsd"}' not in page(telemetry):
            listener(1)
            dogstatsd.flush()
    assert sum("were lost" in record.getMessage() for record in caplog.records) == 1


def test_a_port_that_is_taken_is_the_users_mistake() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            closing(Telemetry(TelemetrySettings(metrics_port=port, metrics_host="127.0.0.1"), (STEPS,))) as telemetry,
            pytest.raises(TelemetryError, match=rf"--metrics-port {port} cannot be opened on 127.0.0.1 \(.+\); choose"),
        ):
            telemetry.start()


def test_what_is_off_is_not_even_imported() -> None:
    script = (
        "import sys\n"
        "from undertone_telemetry.settings import TelemetrySettings\n"
        "from undertone_telemetry.telemetry import Telemetry\n"
        "telemetry = Telemetry(TelemetrySettings(), ())\n"
        "telemetry.start(), telemetry.listener(lambda event: ())(1), telemetry.close()\n"
        "print(sorted({'prometheus_client', 'datadog', 'opentelemetry', 'grpc'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"
