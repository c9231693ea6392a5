"""Properties of all rendered objects, for each set of values."""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from undertone_bench.chart import Chart, HelmError, Manifest, Manifests

from tests.chart.support.combinations import COMBINATIONS
from tests.chart.support.paths import CHART
from tests.chart.support.pods import containers, pod_template

OLDEST = "1.29"
NEWEST = kubernetes_validate.latest_version()
WITHOUT_SCHEMA = frozenset({"GRPCRoute", "NodePool", "PodMonitor", "PrometheusRule", "ScaledObject", "ServiceMonitor"})
"""Kinds of custom resources. Other tests check their fields."""
CLUSTER_SCOPED = frozenset({"NodePool"})
EXECUTOR_RESOURCES = {kind: {"cpu": 1, "memory": "1Gi"} for kind in ("requests", "limits")}
# The oldest supported Kubernetes has no image volumes.
UNSUPPORTED = {OLDEST: frozenset({"image volume"})}


@pytest.fixture(params=COMBINATIONS, ids=lambda name: name.replace(" ", "-"))
def combination(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def manifests(chart: Chart, combination: str) -> Manifests:
    return chart.render(COMBINATIONS[combination])


@pytest.fixture(scope="module")
def validated() -> set[tuple[str, str]]:
    """Valid documents and the version of Kubernetes. Most occur in several combinations."""
    return set()


def pods(manifests: Manifests) -> Iterator[tuple[str, Manifest]]:
    """The pod templates, each with the name of its object."""
    for manifest in manifests:
        if manifest["kind"] in ("CronJob", "Deployment", "Job", "Pod"):
            yield manifest["metadata"]["name"], pod_template(manifest)
        elif "executor.yaml" in manifest.get("data", {}):
            # The parts that Spark adds at run time.
            template = yaml.safe_load(manifest["data"]["executor.yaml"])
            (executor,) = template["spec"]["containers"]
            executor |= {"image": "ghcr.io/undertone/batch:0", "imagePullPolicy": "Always", "resources": EXECUTOR_RESOURCES}
            executor["ports"] = [{"name": "blockmanager", "containerPort": 7079}]
            yield manifest["metadata"]["name"], template


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_matches_the_schemas_of_kubernetes(
    manifests: Manifests, combination: str, version: str, validated: set[tuple[str, str]]
) -> None:
    if combination in UNSUPPORTED.get(version, ()):
        pytest.skip(f"{combination} needs a Kubernetes newer than {version}")
    for manifest in manifests:
        document = json.dumps(manifest, sort_keys=True)
        if manifest["kind"] in WITHOUT_SCHEMA or (document, version) in validated:
            continue
        kubernetes_validate.validate(manifest, version, strict=True)
        validated.add((document, version))


@pytest.mark.parametrize(
    "values", [{}, COMBINATIONS["jobs to a claim"], COMBINATIONS["no load balancer"]], ids=["", "jobs", "none"]
)
def test_passes_helm_lint(chart: Chart, values: Mapping[str, Any]) -> None:
    chart.lint(values)


def test_names_are_unique_and_namespaces_set(manifests: Manifests) -> None:
    kinds_and_names = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in manifests]
    assert len(kinds_and_names) == len(set(kinds_and_names))
    for manifest in manifests:
        metadata = manifest["metadata"]
        assert len(metadata["name"]) <= 63
        assert metadata.get("namespace") == (None if manifest["kind"] in CLUSTER_SCOPED else "reading")


def test_has_common_labels(manifests: Manifests) -> None:
    for manifest in manifests:
        labels = manifest["metadata"]["labels"]
        assert labels["app.kubernetes.io/name"] == "undertone"
        assert labels["app.kubernetes.io/instance"] == "spring"
        assert labels["app.kubernetes.io/component"]
        assert labels["helm.sh/chart"].startswith("undertone-")


def test_selectors_match_pods_of_the_release(manifests: Manifests) -> None:
    labels = [pod["metadata"]["labels"] for _, pod in pods(manifests)]
    for manifest in manifests:
        spec = manifest.get("spec", {})
        match manifest["kind"]:
            case "Deployment":
                assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
            case "Service" | "PodDisruptionBudget":
                selector = spec["selector"].get("matchLabels", spec["selector"])
                assert any(selector.items() <= found.items() for found in labels)
            case "HorizontalPodAutoscaler" | "ScaledObject":
                deployments = [deployment["metadata"]["name"] for deployment in manifests.of("Deployment")]
                assert spec["scaleTargetRef"]["name"] in deployments


def test_selectors_match_one_component(manifests: Manifests) -> None:
    for service in (*manifests.of("Service"), *manifests.of("PodDisruptionBudget")):
        selector = service["spec"]["selector"].get("matchLabels", service["spec"]["selector"])
        found = {
            pod["metadata"]["labels"]["app.kubernetes.io/component"]
            for _, pod in pods(manifests)
            if selector.items() <= pod["metadata"]["labels"].items()
        }
        assert found == {selector["app.kubernetes.io/component"]}


def test_target_ports_exist(manifests: Manifests) -> None:
    """Kubernetes looks up port names in ordinary containers, not in native sidecars."""
    for service in manifests.of("Service"):
        selector = service["spec"]["selector"].items()
        (pod,) = [pod for _, pod in pods(manifests) if selector <= pod["metadata"]["labels"].items()]
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= known_ports(pod)
    for policy in manifests.of("NetworkPolicy"):
        for _, pod in pods(manifests):
            if _selects(policy["spec"]["podSelector"], pod["metadata"]["labels"]):
                allowed = {port["port"] for rule in policy["spec"].get("ingress", ()) for port in rule["ports"]}
                assert allowed <= known_ports(pod)


def known_ports(pod: Manifest) -> set[int | str]:
    """The numbers of all ports, and the port names of ordinary containers."""
    numbers = {port["containerPort"] for container in containers(pod["spec"]) for port in container.get("ports", ())}
    return numbers | {port["name"] for container in pod["spec"]["containers"] for port in container.get("ports", ())}


def test_autoscaled_deployments_have_no_replicas(manifests: Manifests) -> None:
    scaled = {
        manifest["spec"]["scaleTargetRef"]["name"] for manifest in manifests if "scaleTargetRef" in manifest.get("spec", {})
    }
    for deployment in manifests.of("Deployment"):
        assert ("replicas" in deployment["spec"]) == (deployment["metadata"]["name"] not in scaled)


def test_passes_the_restricted_pod_security_standard(manifests: Manifests) -> None:
    for name, pod in pods(manifests):
        spec = pod["spec"]
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for volume in spec["volumes"]:
            assert volume.keys() - {"name"} <= {"configMap", "emptyDir", "image", "persistentVolumeClaim", "secret"}
        for container in containers(pod["spec"]):
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False, (name, container["name"])
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert security["readOnlyRootFilesystem"] is True
            assert not {"privileged", "procMount", "runAsUser"} & security.keys()
            assert not any("hostPort" in port for port in container.get("ports", ()))


def test_pods_have_no_service_account_token(manifests: Manifests) -> None:
    for _, pod in pods(manifests):
        # Drivers of Spark start the pods of their executors.
        driver = pod["spec"]["serviceAccountName"] == "spring-undertone-driver"
        assert pod["spec"]["automountServiceAccountToken"] is driver
        assert pod["spec"]["enableServiceLinks"] is False
    for account in manifests.of("ServiceAccount"):
        assert account["automountServiceAccountToken"] is False


def test_containers_have_resources_and_image_tags(manifests: Manifests) -> None:
    for _, pod in pods(manifests):
        for container in containers(pod["spec"]):
            resources = container["resources"]
            assert {"cpu", "memory"} <= resources["requests"].keys() & resources["limits"].keys()
            tag = container["image"].rpartition(":")[2]
            assert tag not in ("", "latest")
            assert container["imagePullPolicy"]


def test_serving_containers_have_all_probes(manifests: Manifests) -> None:
    for deployment in manifests.of("Deployment"):
        spec = deployment["spec"]["template"]["spec"]
        serving = [*spec["containers"], *(init for init in spec.get("initContainers", ()) if "restartPolicy" in init)]
        for container in serving:
            ports = {port["containerPort"] for port in container["ports"]} | {port["name"] for port in container["ports"]}
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                probed = container[probe].get("grpc") or container[probe]["httpGet"]
                assert probed["port"] in ports


def test_mounts_match_volumes(manifests: Manifests) -> None:
    for name, pod in pods(manifests):
        volumes = {volume["name"] for volume in pod["spec"]["volumes"]}
        mounted = {mount["name"] for container in containers(pod["spec"]) for mount in container.get("volumeMounts", ())}
        assert mounted == volumes, name


def test_network_policies_select_every_pod(manifests: Manifests, combination: str) -> None:
    policies = manifests.of("NetworkPolicy")
    if combination == "minimal":
        assert policies == []
        return
    for name, pod in pods(manifests):
        assert any(_selects(policy["spec"]["podSelector"], pod["metadata"]["labels"]) for policy in policies), name
    for policy in policies:
        assert set(policy["spec"]["policyTypes"]) == {"Ingress", "Egress"}
        assert all(rule.get("to") or rule.get("ports") for rule in policy["spec"].get("egress", ())), (
            "an empty rule allows all egress"
        )
        assert all(rule.get("from") for rule in policy["spec"].get("ingress", ())), "a rule without peers allows all ingress"


def _selects(selector: Manifest, labels: Mapping[str, str]) -> bool:
    expressions = selector.get("matchExpressions", ())
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        expression["operator"] == "In" and labels.get(expression["key"]) in expression["values"] for expression in expressions
    )


@pytest.mark.parametrize(
    ("suffix", "changed"),
    [("-inference", {"model": {"version": 2}}), ("-envoy", {"loadBalancer": {"envoy": {"maxConnections": 9}}})],
)
def test_changed_configuration_changes_the_checksum(chart: Chart, suffix: str, changed: Mapping[str, Any]) -> None:
    def checksum(values: Mapping[str, Any]) -> str:
        pod = pod_template(chart.render(values).one("Deployment", suffix))
        return str(pod["metadata"]["annotations"]["checksum/config"])

    assert checksum({}) == checksum({"serviceAccount": {"annotations": {"a": "b"}}})
    assert checksum({}) != checksum(changed)


def test_new_chart_version_keeps_the_pod_templates(chart: Chart, helm: Path, tmp_path: Path) -> None:
    copy = tmp_path / "undertone"
    shutil.copytree(CHART, copy)
    about = yaml.safe_load((CHART / "Chart.yaml").read_text())
    (copy / "Chart.yaml").write_text(yaml.safe_dump({**about, "version": "9.9.9"}))
    newer = Chart(helm, tmp_path, copy).render(COMBINATIONS["TLS"])
    assert newer.one("ConfigMap", "-envoy")["metadata"]["labels"]["helm.sh/chart"] == "undertone-9.9.9"
    for before in chart.render(COMBINATIONS["TLS"]).of("Deployment"):
        after = newer.one("Deployment", before["metadata"]["name"])
        assert after["spec"]["template"] == before["spec"]["template"]


def test_rejects_an_older_kubernetes(chart: Chart) -> None:
    with pytest.raises(HelmError, match=r"requires kubeVersion: >=1.29.0-0"):
        chart.render(kubernetes="1.28.15")


def test_accepts_version_suffixes_of_cloud_providers(chart: Chart) -> None:
    assert chart.render(kubernetes="v1.29.3-eks-adc7111").all == chart.render().all


def test_long_names_are_truncated(chart: Chart) -> None:
    manifests = chart.render(COMBINATIONS["jobs to a claim"], release="r" * 53)
    # Pods of a CronJob have names with additional characters, so Kubernetes limits its name to 52.
    assert all(len(manifest["metadata"]["name"]) <= (52 if manifest["kind"] == "CronJob" else 63) for manifest in manifests)
