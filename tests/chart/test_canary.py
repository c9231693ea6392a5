"""The pods of a second model version, and the calls that Envoy sends them."""

from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from undertone_bench.chart import Chart, Manifest, Manifests

from tests.chart.support.combinations import COMBINATIONS
from tests.chart.support.pods import find_container, pod_spec

CANARY = COMBINATIONS["canary"]


@pytest.fixture
def manifests(chart: Chart) -> Manifests:
    return chart.render(CANARY)


def routes(manifests: Manifests, name: str) -> list[Manifest]:
    """Envoy's routes to the sidecars for a method."""
    config = yaml.safe_load(manifests.one("ConfigMap", "-envoy")["data"]["envoy.yaml"])
    manager = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    return [route for route in manager["route_config"]["virtual_hosts"][0]["routes"] if route["name"] == name]


def model(deployment: Manifest) -> tuple[str, list[str]]:
    """The image of the model, and the arguments of its check."""
    spec = pod_spec(deployment)
    return find_container(spec, "copy-model")["image"], find_container(spec, "check-model")["args"]


def test_only_the_model_of_the_canary_differs(manifests: Manifests) -> None:
    baseline, canary = manifests.one("Deployment", "-inference"), manifests.one("Deployment", "-canary")
    image, arguments = model(baseline)
    assert model(canary) == (f"{image.partition(':')[0]}:2.0.0", [*arguments[:2], "2", *arguments[3:]])
    assert canary["spec"]["replicas"] == 1
    sidecars = [find_container(pod_spec(deployment), "sidecar") for deployment in (baseline, canary)]
    assert sidecars[0] == sidecars[1]


def test_no_selector_matches_the_pods_of_both(manifests: Manifests) -> None:
    for kind in ("Deployment", "Service"):
        selectors = []
        for suffix in ("-inference", "-canary"):
            selector = manifests.one(kind, suffix)["spec"]["selector"]
            selectors.append(selector.get("matchLabels", selector)["app.kubernetes.io/component"])
        assert selectors == ["inference", "canary"]
    (monitored,) = manifests.one("PodMonitor", "-inference")["spec"]["selector"]["matchExpressions"]
    assert monitored["values"] == ["inference", "canary"]
    scaled = {scaler["spec"]["scaleTargetRef"]["name"] for scaler in manifests.of("HorizontalPodAutoscaler")}
    assert scaled == {"spring-undertone-inference", "spring-undertone-envoy"}


def test_only_calls_of_readers_are_divided(manifests: Manifests) -> None:
    for method in ("Classify", "ClassifyBatch", "ModelInfer"):
        divided = [route for route in routes(manifests, method) if "weighted_clusters" in route["route"]]
        (route,) = divided
        weights = {each["name"]: each["weight"] for each in route["route"]["weighted_clusters"]["clusters"]}
        assert weights == {"sidecars": 9750, "canary-first": 250}
    assert not [route for route in routes(manifests, "GetModel") if "weighted_clusters" in route["route"]]


@pytest.mark.parametrize(("mirror", "copies"), [(100, 10000), (0.5, 50), (0.07, 7)])
def test_calls_are_mirrored_by_percentage(chart: Chart, mirror: float, copies: int) -> None:
    manifests = chart.render({"canary": {"enabled": True, "model": {"version": 2}, "mirror": mirror}})
    *named, rest = routes(manifests, "Classify")
    assert not [route for route in named if "request_mirror_policies" in route["route"]]
    (policy,) = rest["route"]["request_mirror_policies"]
    assert policy["runtime_fraction"]["default_value"] == {"numerator": copies, "denominator": "TEN_THOUSAND"}


def test_spot_nodes_serve_the_batch_lane_beside_a_canary(chart: Chart) -> None:
    manifests = chart.render({**CANARY, "spot": {"enabled": True}})
    divided = {"sidecars": 9750, "canary-first": 250}
    destinations = []
    for route in routes(manifests, "Classify"):
        (*_, last) = route["match"]["headers"]
        weights = {each["name"]: each["weight"] for each in route["route"].get("weighted_clusters", {}).get("clusters", ())}
        destinations.append((last["name"], weights or route["route"]["cluster"]))
    assert destinations == [
        ("undertone-model", "sidecars"),
        ("undertone-model", "canary"),
        ("undertone-lane", "spot-first"),
        ("undertone-lane", divided),
        ("x-undertone-checked", "sidecars"),
    ]


def test_sidecars_get_the_name_of_the_version_only_with_a_canary(chart: Chart, manifests: Manifests) -> None:
    script = manifests.one("ConfigMap", "-envoy")["data"]["requests.lua"]
    assert '\n  ["undertone-lane"] = is_short_text(64),\n  ["undertone-model"] = is_short_text(64),\n' in script
    assert "undertone-model" not in str(chart.render().one("ConfigMap", "-envoy")["data"])


def test_the_test_compares_the_versions_behind_envoy(manifests: Manifests) -> None:
    (container,) = pod_spec(manifests.one("Pod", "-compare"))["containers"]
    envoy = "spring-undertone-envoy.reading.svc:50051"
    assert container["command"] == ["undertone", "compare", f"--baseline={envoy}", f"--candidate={envoy}"]
    assert container["args"] == ["--max-flip-rate=0.01", "--", "/input/sample.jsonl"]
    assert {"name": "input", "mountPath": "/input", "readOnly": True} in container["volumeMounts"]


@pytest.mark.parametrize("values", [{}, {"canary": {"enabled": True, "model": {"version": 2}}}])
def test_no_test_without_inputs(chart: Chart, values: Mapping[str, Any]) -> None:
    assert [pod["metadata"]["name"] for pod in chart.render(values).of("Pod")] == ["spring-undertone-test"]
