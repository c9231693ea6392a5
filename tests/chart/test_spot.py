"""Inference pods on spot nodes."""

from typing import Any

import pytest
import yaml
from undertone_bench.chart import Chart, Manifest

from tests.chart.support.combinations import COMBINATIONS
from tests.chart.support.pods import find_container

SPOT = COMBINATIONS["spot"]
HPA = COMBINATIONS["spot with HPA"]


def deployment(chart: Chart, values: Any) -> Manifest:
    found: Manifest = chart.render(values).one("Deployment", "-inference-spot")["spec"]
    return found


def test_spot_pods_have_their_own_nodes(chart: Chart) -> None:
    pod = deployment(chart, SPOT)["template"]["spec"]
    assert pod["nodeSelector"] == {"workload": "undertone-spot"}
    assert [(each["key"], each["value"]) for each in pod["tolerations"]] == [
        ("workload", "undertone-spot"),
        ("cloud.google.com/gke-spot", "true"),
    ]
    others = chart.render(SPOT).one("Deployment", "-inference")["spec"]["template"]["spec"]
    assert others["tolerations"] == chart.render().one("Deployment", "-inference")["spec"]["template"]["spec"]["tolerations"]


@pytest.mark.parametrize("nodes", [{"nodeSelector": {"capacity": "on-demand"}}, {"placement": "required"}])
def test_spot_nodes_do_not_have_the_labels_of_other_nodes(chart: Chart, nodes: Any) -> None:
    pod = deployment(chart, {**SPOT, "nodePool": nodes})["template"]["spec"]
    assert pod["nodeSelector"] == {"workload": "undertone-spot"}


@pytest.mark.parametrize(
    ("notice", "serving", "period", "grace"),
    [(30, 0, 10, 25), (45, 0, 25, 40), (120, 55, 45, 115), (600, 70, 45, 130)],
)
def test_pods_drain_within_the_notice(chart: Chart, notice: int, serving: int, period: int, grace: int) -> None:
    pod = deployment(chart, {"spot": {"enabled": True, "noticeSeconds": notice}})["template"]["spec"]
    arguments = find_container(pod, "sidecar")["args"]
    assert f"--drain-serving-seconds={serving}" in arguments
    # Envoy's health checks need 5 s to notice the end of a pod.
    assert "--drain-delay-seconds=5" in arguments
    assert f"--grace-period-seconds={serving + period}" in arguments
    assert pod["terminationGracePeriodSeconds"] == grace < notice


def test_jobs_and_schedules_start_spot_pods(chart: Chart) -> None:
    manifests = chart.render(SPOT)
    spot, others = (manifests.one("ScaledObject", f"-inference{suffix}")["spec"] for suffix in ("-spot", ""))
    assert spot["scaleTargetRef"] == {"name": "spring-undertone-inference-spot"}
    assert (spot["minReplicaCount"], spot["maxReplicaCount"], others["minReplicaCount"]) == (0, 100, 2)
    assert [trigger["type"] for trigger in spot["triggers"]] == ["prometheus", "cron", "cpu"]
    assert "undertone_job_backlog_paragraphs" in spot["triggers"][0]["metadata"]["query"]
    # The online lane has its own pods.
    assert [trigger["type"] for trigger in others["triggers"]] == ["prometheus", "cpu"]
    assert "undertone_queue_seconds_bucket" in others["triggers"][0]["metadata"]["query"]


def test_each_pool_has_an_autoscaler_and_only_readers_have_a_disruption_budget(chart: Chart) -> None:
    manifests = chart.render(HPA)
    scaled = [each["spec"]["scaleTargetRef"]["name"] for each in manifests.of("HorizontalPodAutoscaler")]
    assert {"spring-undertone-inference", "spring-undertone-inference-spot"} < set(scaled)
    spot = manifests.one("HorizontalPodAutoscaler", "-inference-spot")["spec"]
    assert (spot["minReplicas"], spot["maxReplicas"]) == (1, 100)
    # A budget would delay the drain of a node that stops in any case.
    budgets = [each["metadata"]["name"] for each in manifests.of("PodDisruptionBudget")]
    assert sorted(budgets) == ["spring-undertone-envoy", "spring-undertone-inference"]
    fixed = {"spot": {"enabled": True, "minReplicas": 7}, "autoscaling": {"type": "none"}}
    assert deployment(chart, fixed)["replicas"] == 7


def test_services_and_policies_tell_the_pools_apart(chart: Chart) -> None:
    manifests = chart.render(SPOT)
    component = "app.kubernetes.io/component"
    for suffix in ("inference", "inference-spot"):
        assert manifests.one("Service", f"-{suffix}")["spec"]["selector"][component] == suffix
        assert manifests.one("NetworkPolicy", f"-{suffix}")["spec"]["podSelector"]["matchLabels"][component] == suffix
    egress = manifests.one("NetworkPolicy", "-envoy")["spec"]["egress"]
    peers = [peer.get("podSelector", {}) for rule in egress for peer in rule.get("to", ())]
    allowed = [peer.get("matchLabels", {}).get(component) for peer in peers]
    assert {"inference", "inference-spot"} <= set(allowed)
    monitor = manifests.one("PodMonitor", "-inference")["spec"]["selector"]
    assert monitor["matchExpressions"] == [{"key": component, "operator": "In", "values": ["inference", "inference-spot"]}]


def test_envoy_asks_dns_for_spot_pods_and_sends_the_batch_lane_there(chart: Chart) -> None:
    config = yaml.safe_load(chart.render(SPOT).one("ConfigMap", "-envoy")["data"]["envoy.yaml"])
    clusters = {cluster["name"]: cluster for cluster in config["static_resources"]["clusters"]}
    (endpoint,) = clusters["spot"]["load_assignment"]["endpoints"][0]["lb_endpoints"]
    address = endpoint["endpoint"]["address"]["socket_address"]
    assert address == {"address": "spring-undertone-inference-spot.reading.svc.cluster.local.", "port_value": 50051}
    assert clusters["spot-first"]["cluster_type"]["typed_config"]["clusters"] == ["spot", "sidecars"]
    plain = yaml.safe_load(chart.render().one("ConfigMap", "-envoy")["data"]["envoy.yaml"])
    assert not {"spot", "spot-first"} & {cluster["name"] for cluster in plain["static_resources"]["clusters"]}


def test_karpenter_gives_spot_nodes_their_own_taint(chart: Chart) -> None:
    requirements = [{"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["spot"]}]
    pools = [
        {"name": "spot", "weight": 50, "spot": True, "requirements": requirements},
        {"name": "general", "weight": 10, "requirements": requirements},
    ]
    manifests = chart.render({**SPOT, "nodePool": {"karpenter": {"enabled": True, "pools": pools}}})
    spot, general = (each["spec"]["template"] for each in manifests.of("NodePool"))
    for template, value in ((spot, "undertone-spot"), (general, "undertone")):
        assert template["metadata"]["labels"] == {"workload": value}
        assert template["spec"]["taints"] == [{"key": "workload", "value": value, "effect": "NoSchedule"}]
