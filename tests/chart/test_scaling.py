"""How many pods there are, and what may take them away."""

import pytest
from undertone_bench.chart import Chart, HelmError, Manifest
from undertone_sidecar.metrics import CATALOGUE
from undertone_telemetry.metric import Kind

from tests.chart.support.combinations import COMBINATIONS


def hpa(chart: Chart, values: Manifest | None = None) -> Manifest:
    found: Manifest = chart.render(values).one("HorizontalPodAutoscaler", "-inference")["spec"]
    return found


def test_aims_at_70_percent_of_the_container_that_computes(chart: Chart) -> None:
    (metric,) = hpa(chart)["metrics"]
    assert metric["type"] == "ContainerResource"
    assert metric["containerResource"] == {
        "container": "model-server",
        "name": "cpu",
        "target": {"type": "Utilization", "averageUtilization": 70},
    }
    pod = chart.render().one("Deployment", "-inference")["spec"]["template"]["spec"]
    assert "model-server" in [container["name"] for container in pod["initContainers"]]


def test_scales_up_to_100_pods(chart: Chart) -> None:
    assert (hpa(chart)["minReplicas"], hpa(chart)["maxReplicas"]) == (2, 100)


def test_goes_up_fast_and_down_slowly(chart: Chart) -> None:
    up, down = hpa(chart)["behavior"]["scaleUp"], hpa(chart)["behavior"]["scaleDown"]
    assert up["stabilizationWindowSeconds"] == 0
    assert down["stabilizationWindowSeconds"] >= 300
    assert up["selectPolicy"] == "Max"
    # In a minute: at least to twice as many, and by a tenth less.
    assert {"type": "Percent", "value": 100, "periodSeconds": 15} in up["policies"]
    assert down["policies"] == [{"type": "Percent", "value": 10, "periodSeconds": 60}]


@pytest.mark.parametrize(
    ("combination", "kinds"),
    [("defaults", ("HorizontalPodAutoscaler",)), ("keda", ("ScaledObject",)), ("no load balancer", ())],
)
def test_one_autoscaler_at_most(chart: Chart, combination: str, kinds: tuple[str, ...]) -> None:
    manifests = chart.render(COMBINATIONS[combination])
    scalers = [
        manifest["kind"]
        for manifest in manifests
        if manifest.get("spec", {}).get("scaleTargetRef", {}).get("name") == "spring-undertone-inference"
    ]
    assert scalers == list(kinds)


def test_without_autoscaler_the_number_is_fixed(chart: Chart) -> None:
    assert chart.render(COMBINATIONS["no load balancer"]).one("Deployment")["spec"]["replicas"] == 3


def test_keda_looks_at_queue_time_and_cpu(chart: Chart) -> None:
    scaled = chart.render(COMBINATIONS["keda"]).one("ScaledObject")
    assert scaled["apiVersion"] == "keda.sh/v1alpha1"
    assert (scaled["spec"]["minReplicaCount"], scaled["spec"]["maxReplicaCount"]) == (2, 100)
    queue, cpu = scaled["spec"]["triggers"]
    assert (queue["type"], queue["metricType"]) == ("prometheus", "Value")
    assert queue["metadata"]["serverAddress"] == "http://prometheus.monitoring:9090"
    # A quantile over no calls is NaN, which no comparison holds for, and which an autoscaler cannot take.
    assert queue["metadata"]["query"] == (
        "(histogram_quantile(0.9, sum by (le) (rate(undertone_queue_seconds_bucket"
        '{lane="online", namespace="reading", pod=~"spring-undertone-inference-.*"}[1m]))) >= 0) or vector(0)'
    )
    assert cpu == {"type": "cpu", "metricType": "Utilization", "metadata": {"containerName": "model-server", "value": "70"}}
    assert all(isinstance(value, str) for trigger in (queue, cpu) for value in trigger["metadata"].values())
    behavior = scaled["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert behavior == hpa(chart)["behavior"]


def test_the_sidecar_has_the_metric_that_keda_asks_for() -> None:
    (queue,) = [metric for metric in CATALOGUE if metric.name == "undertone_queue_seconds"]
    assert (queue.kind, queue.labels) == (Kind.HISTOGRAM, ("lane",))


def test_keda_needs_an_address(chart: Chart) -> None:
    with pytest.raises(HelmError, match=r"autoscaling.keda.prometheusUrl is empty"):
        chart.render({"autoscaling": {"type": "keda"}, "networkPolicy": {"enabled": False}})


def test_an_eviction_takes_a_tenth_and_broken_pods_at_will(chart: Chart) -> None:
    budget = chart.render().one("PodDisruptionBudget", "-inference")["spec"]
    assert budget["maxUnavailable"] == "10%"
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_null_makes_no_budget(chart: Chart) -> None:
    budgets = chart.render(COMBINATIONS["minimal"]).of("PodDisruptionBudget")
    assert not [budget for budget in budgets if budget["metadata"]["name"].endswith("-inference")]
