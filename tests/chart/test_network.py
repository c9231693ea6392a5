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
