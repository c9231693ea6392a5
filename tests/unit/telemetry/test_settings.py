import re
import sys
from typing import Any

import pytest
from undertone_telemetry import TelemetryError, TelemetrySettings

COLLECTOR = "http://collector:4317"


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"metrics_port": 70000}, "--metrics-port is 70000; use a port from 0 to 65535"),
        ({"dogstatsd": "agent"}, "--dogstatsd is 'agent'; use host:port, or unix:///path/to/socket"),
        (
            {"dogstatsd": f"unix:///{'s' * 107}"},
            f"--dogstatsd is '/{'s' * 107}', which has 108 bytes; the limit for a Unix socket is 107",
        ),
        ({"dogstatsd": "agent:http"}, "--dogstatsd is 'agent:http'; use"),
        ({"dogstatsd": "unix://dsd.sock"}, "--dogstatsd is 'unix://dsd.sock'; use"),
        ({"pushgateway_namespace": "reading"}, "--pushgateway-namespace reading needs --pushgateway"),
        ({"pushgateway": "gateway:9091"}, "--pushgateway is 'gateway:9091'; use a URL, such as http://pushgateway:9091"),
        ({"log_format": "xml"}, "--log-format is 'xml'; use one of plain, json"),
        ({"trace_sample": 0.1}, "--trace-sample 0.1 needs --otlp-endpoint, such as http://localhost:4317"),
        ({"trace_sample": 0.1, "otlp_endpoint": "collector:4317"}, "--otlp-endpoint is 'collector:4317'; use the URL"),
        ({"trace_sample": 1, "otlp_endpoint": "http://collector:port"}, "--otlp-endpoint is 'http://collector:port'; use"),
        ({"trace_sample": 1.5, "otlp_endpoint": COLLECTOR}, "--trace-sample is 1.5; use a ratio from 0 (off) to 1 (all)"),
        ({"trace_sample": float("nan"), "otlp_endpoint": COLLECTOR}, "--trace-sample is nan; use a ratio"),
    ],
)
def test_an_error_names_the_flag_the_value_and_the_remedy(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(TelemetryError, match=f"^{re.escape(problem)}") as error:
        TelemetrySettings(**settings)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "address", ["agent:8125", "10.0.0.1:8125", "[::1]:8125", "udp://agent:8125", "unix:///run/dsd.sock", "unixstream:///dsd"]
)
def test_addresses_in_the_agents_notation_are_accepted(address: str) -> None:
    assert TelemetrySettings(dogstatsd=address).dogstatsd == address


@pytest.mark.parametrize(
    ("endpoint", "sample", "traced"),
    [(COLLECTOR, 0.1, True), ("https://collector", 1, True), ("", 0, False), ("not a URL", 0, False)],
)
def test_the_collector_matters_only_if_the_process_traces(endpoint: str, sample: float, traced: bool) -> None:
    assert TelemetrySettings(otlp_endpoint=endpoint, trace_sample=sample).traced is traced


@pytest.mark.parametrize(
    ("settings", "flag", "module", "extra"),
    [
        ({"metrics_port": 0}, "--metrics-port", "prometheus_client", "prometheus"),
        ({"pushgateway": "http://gateway:9091"}, "--pushgateway", "prometheus_client", "prometheus"),
        ({"dogstatsd": "agent:8125"}, "--dogstatsd", "datadog", "datadog"),
        (
            {"trace_sample": 1, "otlp_endpoint": COLLECTOR},
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
