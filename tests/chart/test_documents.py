"""What holds for every document of every combination of values."""

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

OLDEST = "1.29"
NEWEST = kubernetes_validate.latest_version()
WITHOUT_SCHEMA = frozenset({"GRPCRoute", "NodePool", "PodMonitor", "PrometheusRule", "ScaledObject", "ServiceMonitor"})
"""Kinds that are no part of Kubernetes; other tests look at their shape."""
NAMESPACELESS = frozenset({"NodePool"})
# In what the oldest Kubernetes knows, there are no image volumes.
TOO_NEW = {OLDEST: frozenset({"image volume"})}


@pytest.fixture(params=COMBINATIONS, ids=lambda name: name.replace(" ", "-"))
def combination(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def manifests(chart: Chart, combination: str) -> Manifests:
    return chart.render(COMBINATIONS[combination])


@pytest.fixture(scope="module")
def validated() -> set[tuple[str, str]]:
    """Documents that were found valid, with the version of Kubernetes: most are the same in several combinations."""
    return set()


def pods(manifests: Manifests) -> Iterator[tuple[str, Manifest]]:
    """Name of the object and metadata and spec of each pod that it makes."""
    for manifest in manifests:
        match manifest["kind"]:
            case "Pod":
                yield manifest["metadata"]["name"], manifest
            case "Deployment" | "Job":
                yield manifest["metadata"]["name"], manifest["spec"]["template"]
            case "CronJob":
                yield manifest["metadata"]["name"], manifest["spec"]["jobTemplate"]["spec"]["template"]


def containers(pod: Manifest) -> Iterator[Mapping[str, Any]]:
    yield from pod["spec"].get("initContainers", ())
    yield from pod["spec"]["containers"]


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_fits_the_schemas_of_kubernetes(
    manifests: Manifests, combination: str, version: str, validated: set[tuple[str, str]]
) -> None:
    if combination in TOO_NEW.get(version, ()):
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
def test_lints(chart: Chart, values: Mapping[str, Any]) -> None:
    chart.lint(values)


def test_names_and_namespaces(manifests: Manifests) -> None:
    kinds_and_names = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in manifests]
    assert len(kinds_and_names) == len(set(kinds_and_names))
    for manifest in manifests:
        metadata = manifest["metadata"]
        assert len(metadata["name"]) <= 63
        assert metadata.get("namespace") == (None if manifest["kind"] in NAMESPACELESS else "reading")


def test_common_labels(manifests: Manifests) -> None:
    for manifest in manifests:
        labels = manifest["metadata"]["labels"]
        assert labels["app.kubernetes.io/name"] == "undertone"
        assert labels["app.kubernetes.io/instance"] == "spring"
        assert labels["app.kubernetes.io/component"]
        assert labels["helm.sh/chart"].startswith("undertone-")


def test_selectors_find_pods_of_this_release(manifests: Manifests) -> None:
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


def test_selectors_tell_components_apart(manifests: Manifests) -> None:
    for service in (*manifests.of("Service"), *manifests.of("PodDisruptionBudget")):
        selector = service["spec"]["selector"].get("matchLabels", service["spec"]["selector"])
        found = {
            pod["metadata"]["labels"]["app.kubernetes.io/component"]
            for _, pod in pods(manifests)
            if selector.items() <= pod["metadata"]["labels"].items()
        }
        assert found == {selector["app.kubernetes.io/component"]}


def test_ports_exist_and_have_names_where_names_are_looked_for(manifests: Manifests) -> None:
    """Kubernetes looks a port's name up in ordinary containers, not in init containers, native sidecars though they be."""
    for service in manifests.of("Service"):
        selector = service["spec"]["selector"].items()
        (pod,) = [pod for _, pod in pods(manifests) if selector <= pod["metadata"]["labels"].items()]
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= known_ports(pod)
    for policy in manifests.of("NetworkPolicy"):
        for _, pod in pods(manifests):
            if _selects(policy["spec"]["podSelector"], pod["metadata"]["labels"]):
                asked = {port["port"] for rule in policy["spec"].get("ingress", ()) for port in rule["ports"]}
                assert asked <= known_ports(pod)


def known_ports(pod: Manifest) -> set[int | str]:
    """Numbers of all containers' ports, names of the ordinary ones'."""
    numbers = {port["containerPort"] for container in containers(pod) for port in container.get("ports", ())}
    return numbers | {port["name"] for container in pod["spec"]["containers"] for port in container.get("ports", ())}


def test_no_replicas_where_an_autoscaler_sets_them(manifests: Manifests) -> None:
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
        for container in containers(pod):
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False, (name, container["name"])
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert security["readOnlyRootFilesystem"] is True
            assert not {"privileged", "procMount", "runAsUser"} & security.keys()
            assert not any("hostPort" in port for port in container.get("ports", ()))


def test_no_pod_has_a_token(manifests: Manifests) -> None:
    for _, pod in pods(manifests):
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert pod["spec"]["enableServiceLinks"] is False
    for account in manifests.of("ServiceAccount"):
        assert account["automountServiceAccountToken"] is False


def test_every_container_has_resources_and_a_pinned_image(manifests: Manifests) -> None:
    for _, pod in pods(manifests):
        for container in containers(pod):
            resources = container["resources"]
            assert {"cpu", "memory"} <= resources["requests"].keys() & resources["limits"].keys()
            tag = container["image"].rpartition(":")[2]
            assert tag not in ("", "latest")
            assert container["imagePullPolicy"]


def test_containers_that_serve_have_all_probes(manifests: Manifests) -> None:
    for deployment in manifests.of("Deployment"):
        spec = deployment["spec"]["template"]["spec"]
        serving = [*spec["containers"], *(init for init in spec.get("initContainers", ()) if "restartPolicy" in init)]
        for container in serving:
            ports = {port["containerPort"] for port in container["ports"]} | {port["name"] for port in container["ports"]}
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                asked = container[probe].get("grpc") or container[probe]["httpGet"]
                assert asked["port"] in ports


def test_mounts_have_volumes(manifests: Manifests) -> None:
    for name, pod in pods(manifests):
        volumes = {volume["name"] for volume in pod["spec"]["volumes"]}
        mounted = {mount["name"] for container in containers(pod) for mount in container.get("volumeMounts", ())}
        assert mounted == volumes, name


def test_every_pod_is_behind_a_network_policy(manifests: Manifests, combination: str) -> None:
    policies = manifests.of("NetworkPolicy")
    if combination == "minimal":
        assert policies == []
        return
    for name, pod in pods(manifests):
        assert any(_selects(policy["spec"]["podSelector"], pod["metadata"]["labels"]) for policy in policies), name
    for policy in policies:
        assert set(policy["spec"]["policyTypes"]) == {"Ingress", "Egress"}
        assert all(rule.get("to") or rule.get("ports") for rule in policy["spec"].get("egress", ())), (
            "an empty rule lets all out"
        )
        assert all(rule.get("from") for rule in policy["spec"].get("ingress", ())), "a rule without peers lets everybody in"


def _selects(selector: Manifest, labels: Mapping[str, str]) -> bool:
    expressions = selector.get("matchExpressions", ())
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        expression["operator"] == "In" and labels.get(expression["key"]) in expression["values"] for expression in expressions
    )


@pytest.mark.parametrize(
    ("suffix", "changed"),
    [("-inference", {"model": {"version": 2}}), ("-envoy", {"loadBalancer": {"envoy": {"maxConnections": 9}}})],
)
def test_changed_configuration_replaces_the_pods(chart: Chart, suffix: str, changed: Mapping[str, Any]) -> None:
    def checksum(values: Mapping[str, Any]) -> str:
        pod = chart.render(values).one("Deployment", suffix)["spec"]["template"]
        return str(pod["metadata"]["annotations"]["checksum/config"])

    assert checksum({}) == checksum({"serviceAccount": {"annotations": {"a": "b"}}})
    assert checksum({}) != checksum(changed)


def test_a_new_chart_alone_replaces_no_pods(chart: Chart, helm: Path, tmp_path: Path) -> None:
    copy = tmp_path / "undertone"
    shutil.copytree(CHART, copy)
    about = yaml.safe_load((CHART / "Chart.yaml").read_text())
    (copy / "Chart.yaml").write_text(yaml.safe_dump({**about, "version": "9.9.9"}))
    newer = Chart(helm, tmp_path, copy).render(COMBINATIONS["TLS"])
    assert newer.one("ConfigMap", "-envoy")["metadata"]["labels"]["helm.sh/chart"] == "undertone-9.9.9"
    for before in chart.render(COMBINATIONS["TLS"]).of("Deployment"):
        after = newer.one("Deployment", before["metadata"]["name"])
        assert after["spec"]["template"] == before["spec"]["template"]


def test_older_kubernetes_is_refused(chart: Chart) -> None:
    with pytest.raises(HelmError, match=r"requires kubeVersion: >=1.29.0-0"):
        chart.render(kubernetes="1.28.15")


def test_providers_names_of_kubernetes_are_understood(chart: Chart) -> None:
    assert chart.render(kubernetes="v1.29.3-eks-adc7111").all == chart.render().all


def test_long_names_are_cut(chart: Chart) -> None:
    manifests = chart.render(COMBINATIONS["jobs to a claim"], release="r" * 53)
    # Pods of a CronJob's jobs have twenty characters more.
    assert all(len(manifest["metadata"]["name"]) <= (52 if manifest["kind"] == "CronJob" else 63) for manifest in manifests)
