"""The NetworkPolicies: allowed callers, readers of metrics, and egress."""

from collections.abc import Mapping
from typing import Any

import pytest
from undertone_bench.chart import Chart, Manifest

from tests.chart.support.combinations import COMBINATIONS

COMPONENT = "app.kubernetes.io/component"


def policy(chart: Chart, name: str, combination: str = "defaults") -> Manifest:
    found: Manifest = chart.render(COMBINATIONS[combination]).one("NetworkPolicy", name)["spec"]
    return found


def components(peers: Any) -> list[Any]:
    return [
        peer["podSelector"]["matchLabels"][COMPONENT]
        for peer in peers
        if COMPONENT in peer.get("podSelector", {}).get("matchLabels", {})
    ]


def ports(rule: Mapping[str, Any]) -> list[Any]:
    return [port["port"] for port in rule["ports"]]


def test_only_envoy_reaches_the_inference_pods(chart: Chart) -> None:
    (rule,) = policy(chart, "-inference")["ingress"]
    assert components(rule["from"]) == ["envoy"]
    assert len(rule["from"]) == 1
    assert ports(rule) == ["grpc"]


@pytest.mark.parametrize("combination", ["no load balancer", "gateway"])
def test_configured_clients_reach_the_inference_pods_without_envoy(chart: Chart, combination: str) -> None:
    (rule,) = policy(chart, "-inference", combination)["ingress"]
    assert {"podSelector": {}} in rule["from"]
    (jobs,) = [peer for peer in rule["from"] if peer["podSelector"].get("matchExpressions")]
    assert jobs["podSelector"]["matchExpressions"][0]["values"] == ["backfill", "daily", "test"]


def test_clients_reach_the_http_port_if_it_is_enabled(chart: Chart) -> None:
    values = {**COMBINATIONS["no load balancer"], "sidecar": {"http": {"enabled": True}}}
    rendered = chart.render(values)
    (rule,) = rendered.one("NetworkPolicy", "-inference")["spec"]["ingress"]
    assert ports(rule) == ["grpc", "http"]
    (port,) = [port for port in rendered.one("Service", "-inference")["spec"]["ports"] if port["name"] == "http"]
    assert (port["port"], port["targetPort"], port["appProtocol"]) == (8080, "http", "http")


def test_configured_peers_read_metrics(chart: Chart) -> None:
    _, metrics = policy(chart, "-inference", "PodMonitor")["ingress"]
    assert ports(metrics) == ["metrics", 8501]
    assert metrics["from"][0]["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "monitoring"}


def test_no_peer_reaches_the_grpc_port_of_the_model_server(chart: Chart) -> None:
    for combination in ("defaults", "no load balancer", "PodMonitor"):
        for rule in policy(chart, "-inference", combination)["ingress"]:
            assert {"predict", 8500}.isdisjoint(ports(rule))


def test_inference_pods_reach_only_dns(chart: Chart) -> None:
    (rule,) = policy(chart, "-inference")["egress"]
    assert set(ports(rule)) == {53}


def test_inference_pods_reach_the_bucket_of_the_model(chart: Chart) -> None:
    _, bucket = policy(chart, "-inference", "bucket")["egress"]
    assert ports(bucket) == [443]
    assert len(policy(chart, "-inference", "jobs to a bucket")["egress"]) == 1


def test_jobs_reach_the_load_balancer(chart: Chart) -> None:
    egress = policy(chart, "-clients")["egress"]
    assert [component for rule in egress for component in components(rule["to"])] == ["envoy"]
    assert "ingress" not in policy(chart, "-clients")
    without = policy(chart, "-clients", "no load balancer")["egress"]
    assert [component for rule in without for component in components(rule["to"])] == ["inference"]


def test_inference_pods_reach_the_configured_telemetry_receivers(chart: Chart) -> None:
    collector = {"to": [{"namespaceSelector": {}}], "ports": [{"port": 4317}]}
    spec = chart.render({"networkPolicy": {"telemetry": [collector]}}).one("NetworkPolicy", "-inference")["spec"]
    assert collector in spec["egress"]


def test_executors_and_drivers_reach_each_other_and_drivers_the_api_server(chart: Chart) -> None:
    def selected(pods: Mapping[str, Any]) -> Any:
        return pods["matchExpressions"][0]["values"]

    driver, executor = (policy(chart, name, "Spark on Kubernetes") for name in ("-driver", "-executor"))
    assert (selected(driver["podSelector"]), selected(executor["podSelector"])) == (["backfill", "daily"], ["executor"])
    (ingress,), (egress, kubernetes) = driver["ingress"], driver["egress"]
    assert [selected(peer["podSelector"]) for peer in (*ingress["from"], *egress["to"])] == [["executor"]] * 2
    assert (ports(ingress), ports(egress), ports(kubernetes)) == ([7078, 7079], [7079], [443])
    (ingress,), (drivers, executors) = executor["ingress"], executor["egress"]
    assert [selected(peer["podSelector"]) for peer in ingress["from"]] == [["backfill", "daily", "executor"]]
    assert [selected(rule["to"][0]["podSelector"]) for rule in (drivers, executors)] == [["backfill", "daily"], ["executor"]]
    assert (ports(ingress), ports(drivers), ports(executors)) == ([7079], [7078, 7079], [7079])


def test_executors_reach_the_load_balancer_and_the_bucket(chart: Chart) -> None:
    clients = policy(chart, "-clients", "Spark on Kubernetes")
    assert "executor" in clients["podSelector"]["matchExpressions"][0]["values"]
    envoy = policy(chart, "-envoy", "Spark on Kubernetes")["ingress"][0]["from"][0]["podSelector"]
    assert "executor" in envoy["matchExpressions"][0]["values"]
