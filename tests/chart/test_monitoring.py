"""Monitors, dashboards, rules and annotations for Prometheus, Grafana and Datadog."""

import json

import pytest
from undertone_bench.chart import Chart
from undertone_sidecar.settings import Settings

from tests.chart.support.combinations import COMBINATIONS
from tests.chart.support.paths import CHART
from tests.chart.support.pods import find_container, inference_pod, pod_template


@pytest.mark.parametrize(
    ("combination", "kind", "endpoints"),
    [
        ("PodMonitor", "PodMonitor", "podMetricsEndpoints"),
        ("ServiceMonitor", "ServiceMonitor", "endpoints"),
    ],
)
def test_sidecar_and_tf_serving_are_scraped(chart: Chart, combination: str, kind: str, endpoints: str) -> None:
    manifests = chart.render(COMBINATIONS[combination])
    monitor = manifests.one(kind, "-inference")
    assert monitor["apiVersion"] == "monitoring.coreos.com/v1"
    assert [endpoint["port"] for endpoint in monitor["spec"][endpoints]] == ["metrics", "model-metrics"]
    assert monitor["spec"][endpoints][1]["path"] == "/monitoring/prometheus/metrics"
    assert "/monitoring/prometheus/metrics" in manifests.one("ConfigMap", "-inference")["data"]["monitoring.config"]
    pod = pod_template(manifests.one("Deployment", "-inference"))
    selector = monitor["spec"]["selector"]["matchLabels"].items()
    found = pod if kind == "PodMonitor" else manifests.one("Service", "-inference")
    assert selector <= found["metadata"]["labels"].items()


def test_monitors_have_the_configured_labels(chart: Chart) -> None:
    for monitor in chart.render(COMBINATIONS["PodMonitor"]).of("PodMonitor"):
        assert monitor["metadata"]["labels"]["release"] == "prometheus"


def test_development_server_is_scraped_like_tf_serving(chart: Chart) -> None:
    values = {**COMBINATIONS["PodMonitor"], **COMBINATIONS["development server"]}
    endpoints = chart.render(values).one("PodMonitor", "-inference")["spec"]["podMetricsEndpoints"]
    assert [endpoint["port"] for endpoint in endpoints] == ["metrics", "model-metrics"]
    server = find_container(inference_pod(chart, values), "model-server")
    assert {"--rest_api_port=8501", "--monitoring_config_file=/etc/undertone/monitoring.config"} <= set(server["command"])


def test_metrics_port_is_the_default_of_the_sidecar(chart: Chart) -> None:
    (default,) = [field.default for field in Settings.__dataclass_fields__.values() if field.name == "metrics_port"]
    sidecar = find_container(inference_pod(chart), "sidecar")
    assert f"--metrics-port={default}" in sidecar["args"]
    assert {"name": "metrics", "containerPort": default} in sidecar["ports"]


def test_annotations_lead_datadog_to_the_metrics(chart: Chart) -> None:
    metadata = pod_template(chart.render(COMBINATIONS["PodMonitor"]).one("Deployment", "-inference"))["metadata"]
    checks = json.loads(metadata["annotations"]["ad.datadoghq.com/sidecar.checks"])
    endpoints = [instance["openmetrics_endpoint"] for instance in checks["openmetrics"]["instances"]]
    assert endpoints == ["http://%%host%%:9464/metrics", "http://%%host%%:8501/monitoring/prometheus/metrics"]
    defaults = pod_template(chart.render().one("Deployment", "-inference"))["metadata"]["annotations"]
    assert not [name for name in defaults if "datadog" in name]


def test_dashboards_are_copied_unchanged(chart: Chart) -> None:
    """Helm must not expand the templates of Grafana."""
    dashboard = chart.render({"monitoring": {"dashboards": True}}).one("ConfigMap", "-dashboard-undertone")
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"
    written = (CHART / "files/dashboards/undertone.json").read_text()
    assert json.loads(dashboard["data"]["undertone.json"]) == json.loads(written)


def test_rules_have_the_configured_labels(chart: Chart) -> None:
    rule = chart.render({"monitoring": {"prometheusRule": True, "labels": {"release": "prometheus"}}}).one("PrometheusRule")
    assert rule["apiVersion"] == "monitoring.coreos.com/v1"
    assert rule["metadata"]["labels"]["release"] == "prometheus"
