"""Placement of the inference pods on tainted nodes, and the NodePools of Karpenter."""

import re
from collections.abc import Mapping

import pytest
import yaml
from undertone_bench.chart import Chart, Manifest

from tests.chart.support.combinations import COMBINATIONS
from tests.chart.support.paths import ROOT
from tests.chart.support.pods import inference_pod


def tolerates(pod: Manifest, taint: Mapping[str, str]) -> bool:
    """Whether the pod tolerates the taint, by a toleration with the operator Equal."""
    return any({**taint, "operator": "Equal"} == dict(toleration) for toleration in pod["tolerations"])


def test_pods_tolerate_the_taint_and_prefer_the_label(chart: Chart) -> None:
    pod = inference_pod(chart)
    assert tolerates(pod, {"key": "workload", "value": "undertone", "effect": "NoSchedule"})
    assert "nodeSelector" not in pod
    (preference,) = pod["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert preference["preference"]["matchExpressions"] == [{"key": "workload", "operator": "In", "values": ["undertone"]}]


def test_required_placement_sets_a_node_selector(chart: Chart) -> None:
    pod = inference_pod(chart, {"nodePool": {"placement": "required", "nodeSelector": {"kubernetes.io/arch": "amd64"}}})
    assert pod["nodeSelector"] == {"workload": "undertone", "kubernetes.io/arch": "amd64"}
    assert "affinity" not in pod


def test_values_add_tolerations_and_replace_the_affinity(chart: Chart) -> None:
    spot = {"key": "spot", "operator": "Exists"}
    affinity: Manifest = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}
    pod = inference_pod(chart, {"nodePool": {"tolerations": [spot], "affinity": affinity}})
    assert spot in pod["tolerations"]
    assert pod["affinity"] == affinity


@pytest.mark.parametrize("taint", [{}, {"key": "dedicated", "value": "nlp", "effect": "NoExecute"}])
def test_pods_fit_the_nodes_of_karpenter(chart: Chart, taint: Mapping[str, str]) -> None:
    values = {"nodePool": {"placement": "required", "karpenter": {"enabled": True}, **taint}}
    pod = inference_pod(chart, values)
    for pool in chart.render(values).of("NodePool"):
        assert pool["apiVersion"] == "karpenter.sh/v1"
        template = pool["spec"]["template"]
        (created,) = template["spec"]["taints"]
        assert tolerates(pod, created)
        assert pod["nodeSelector"].items() <= template["metadata"]["labels"].items()


def test_karpenter_prefers_amx_and_limits_resources(chart: Chart) -> None:
    pools = chart.render(COMBINATIONS["node pool"]).of("NodePool")
    best, other = sorted(pools, key=lambda pool: -pool["spec"]["weight"])
    assert best["metadata"]["name"] == "reading-spring-undertone-amx"
    assert other["metadata"]["name"] == "reading-spring-undertone-general"
    families = {requirement["key"]: requirement for requirement in best["spec"]["template"]["spec"]["requirements"]}
    # Sapphire Rapids.
    assert {"c7i", "m7i"} <= set(families["karpenter.k8s.aws/instance-family"]["values"])
    for pool in pools:
        assert pool["spec"]["limits"].keys() == {"cpu", "memory"}
        assert pool["spec"]["disruption"] == {"consolidationPolicy": "WhenEmptyOrUnderutilized", "consolidateAfter": "5m"}
        node = pool["spec"]["template"]["spec"]
        assert node["nodeClassRef"].keys() == {"group", "kind", "name"}
        assert node["expireAfter"] == "720h"
        assert all(requirement.keys() == {"key", "operator", "values"} for requirement in node["requirements"])


@pytest.mark.parametrize(("namespace", "release"), [("reading", "spring"), ("n" * 63, "r" * 53), ("a-" * 31 + "b", "spring")])
def test_every_entry_creates_a_node_pool_of_its_own(chart: Chart, namespace: str, release: str) -> None:
    pools: list[Manifest] = [
        {"name": name, "weight": 10, "requirements": []} for name in ("general", "memory", "spot", "spot-2")
    ]
    values = {"nodePool": {"karpenter": {"enabled": True, "pools": pools}}}
    names = [pool["metadata"]["name"] for pool in chart.render(values, release=release, namespace=namespace).of("NodePool")]
    assert len(set(names)) == len(pools)
    # The nodes have the name as the value of the label karpenter.sh/nodepool.
    assert all(re.fullmatch("[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", name) for name in names)


def test_default_creates_no_node_pool(chart: Chart) -> None:
    assert chart.render().of("NodePool") == []


def test_kind_cluster_has_a_tainted_and_an_untainted_worker(chart: Chart) -> None:
    cluster = yaml.safe_load((ROOT / "deploy/kind/cluster.yaml").read_text())
    assert (cluster["kind"], cluster["apiVersion"]) == ("Cluster", "kind.x-k8s.io/v1alpha4")
    workers = [node for node in cluster["nodes"] if node["role"] == "worker"]
    (tainted,) = [node for node in workers if "kubeadmConfigPatches" in node]
    assert len(workers) > 1
    join = yaml.safe_load(tainted["kubeadmConfigPatches"][0])
    assert join["kind"] == "JoinConfiguration"
    (taint,) = join["nodeRegistration"]["taints"]
    pod = inference_pod(chart, files=("values-kind.yaml",))
    assert tolerates(pod, taint)
    assert pod["nodeSelector"].items() <= tainted["labels"].items()
