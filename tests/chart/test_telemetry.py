"""The receivers of metrics, events and traces, and what the containers send to them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from undertone_bench.chart import Chart, Manifest
from undertone_sidecar.testing import read_settings
from undertone_telemetry import TelemetrySettings

from tests.chart.support.combinations import COMBINATIONS
from tests.chart.support.pods import inference_pod, pod_spec, pod_template

ALL = COMBINATIONS["telemetry"]


def sidecar(chart: Chart, values: Mapping[str, Any]) -> Manifest:
    return _only_container(inference_pod(chart, values))


def job(chart: Chart, values: Mapping[str, Any], kind: str = "backfill") -> Manifest:
    return _only_container(pod_spec(chart.render(values).one("CronJob", f"-{kind}")))


def _only_container(spec: Manifest) -> Manifest:
    """The container, with the volumes of its pod."""
    (container,) = spec["containers"]
    return {**container, "volumes": spec["volumes"]}


def environment(container: Manifest) -> dict[str, str]:
    """Names and values. Fields of the pod are written as {path}."""
    return {
        variable["name"]: variable.get("value") or f"{{{variable['valueFrom']['fieldRef']['fieldPath']}}}"
        for variable in container["env"]
        if "fieldRef" in variable.get("valueFrom", {"fieldRef": True})
    }


def settings_of(container: Manifest) -> dict[str, str]:
    """The settings in the environment, by field name. The node has the address 10.0.0.1."""
    found = {name.removeprefix("UNDERTONE_").lower(): value for name, value in environment(container).items()}
    return {name: value.replace("$(HOST_IP)", "10.0.0.1") for name, value in found.items()}


def test_default_sends_nothing(chart: Chart) -> None:
    assert "env" not in sidecar(chart, {})
    values = {"batch": {**ALL["batch"]}}
    assert {name for name in environment(job(chart, values)) if "TARGET" not in name} == {
        "UNDERTONE_JOB",
        "UNDERTONE_LOG_FORMAT",
        "UNDERTONE_PATIENCE",
    }


def test_sidecar_accepts_its_telemetry_settings(chart: Chart, tmp_path: Path) -> None:
    container = sidecar(chart, ALL)
    variables = {f"UNDERTONE_{name.upper()}": value for name, value in settings_of(container).items()}
    settings = read_settings(f"--model-dir={tmp_path}", **variables)
    assert settings.telemetry.dogstatsd == "10.0.0.1:8125"
    assert settings.telemetry.otlp_endpoint == "http://collector.monitoring:4317"
    assert settings.telemetry.trace_sample == 0.01
    assert (
        environment(container).items()
        >= {
            "HOST_IP": "{status.hostIP}",
            "DD_ENTITY_ID": "{metadata.uid}",
            "DD_SERVICE": "undertone-sidecar",
            "DD_ENV": "production",
        }.items()
    )
    names = [variable["name"] for variable in container["env"]]
    assert names.index("HOST_IP") < names.index("UNDERTONE_DOGSTATSD"), (
        "Kubernetes expands only variables that are defined before"
    )


@pytest.mark.parametrize("kind", ["backfill", "daily"])
def test_jobs_accept_their_telemetry_settings(chart: Chart, kind: str) -> None:
    settings = settings_of(job(chart, ALL, kind))
    assert settings["job"] == f"spring-undertone-{kind}"
    TelemetrySettings(
        metrics_port=int(settings["metrics_port"]),
        metrics_host=settings["metrics_host"],
        pushgateway=settings["pushgateway"],
        pushgateway_namespace=settings["pushgateway_namespace"],
        dogstatsd=settings["dogstatsd"],
        otlp_endpoint=settings["otlp_endpoint"],
        trace_sample=float(settings["trace_sample"]),
        log_format=settings["log_format"],
    )
    assert settings["pushgateway"] == "http://pushgateway.monitoring:9091"
    assert settings["pushgateway_namespace"] == "reading"
    assert settings["dd_service"] == "undertone-job"


def test_rules_select_jobs_by_their_names(chart: Chart) -> None:
    groups = chart.render(ALL).one("PrometheusRule")["spec"]["groups"]
    late = next(rule["expr"] for group in groups for rule in group["rules"] if rule.get("alert") == "UndertoneBatchLate")
    assert f'job="{settings_of(job(chart, ALL, "daily"))["job"]}"' in late


def test_jobs_are_scraped(chart: Chart) -> None:
    manifests = chart.render(ALL)
    (endpoint,) = manifests.one("PodMonitor", "-jobs")["spec"]["podMetricsEndpoints"]
    container = job(chart, ALL)
    assert [endpoint["port"]] == [port["name"] for port in container["ports"]]
    assert settings_of(container)["metrics_port"] == str(container["ports"][0]["containerPort"])
    assert endpoint["honorLabels"] is True
    (rule,) = manifests.one("NetworkPolicy", "-jobs")["spec"]["ingress"]
    assert [port["port"] for port in rule["ports"]] == [container["ports"][0]["containerPort"]]
    assert not [monitor for monitor in chart.render().of("PodMonitor") if "jobs" in monitor["metadata"]["name"]]


def test_directory_of_the_agents_socket_is_mounted(chart: Chart) -> None:
    values = {"telemetry": {"dogstatsd": {"mode": "socket"}}, "batch": ALL["batch"]}
    for container in (sidecar(chart, values), job(chart, values)):
        assert environment(container)["UNDERTONE_DOGSTATSD"] == "unix:///var/run/datadog/dsd.socket"
        (mount,) = [mount for mount in container["volumeMounts"] if mount["name"] == "dogstatsd"]
        (volume,) = [volume for volume in container["volumes"] if volume["name"] == "dogstatsd"]
        assert (mount["mountPath"], mount["readOnly"]) == ("/var/run/datadog", True)
        assert volume["hostPath"]["path"] == "/var/run/datadog"


@pytest.mark.parametrize("policy", ["-inference", "-clients", "-envoy"])
def test_policies_allow_egress_of_telemetry(chart: Chart, policy: str) -> None:
    egress = chart.render(ALL).one("NetworkPolicy", policy)["spec"]["egress"]
    assert all(rule in egress for rule in ALL["networkPolicy"]["telemetry"])


def test_datadog_does_not_scrape_metrics_that_it_receives(chart: Chart) -> None:
    annotations = pod_template(chart.render(ALL).one("Deployment", "-inference"))["metadata"]["annotations"]
    checks = json.loads(annotations["ad.datadoghq.com/sidecar.checks"])
    endpoints = [instance["openmetrics_endpoint"] for instance in checks["openmetrics"]["instances"]]
    assert endpoints == ["http://%%host%%:8501/monitoring/prometheus/metrics"]
    assert "ad.datadoghq.com/sidecar.logs" in annotations
