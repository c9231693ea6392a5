"""Autoscalers and PodDisruptionBudgets."""

import pytest
from undertone_bench.chart import Chart, Manifest
from undertone_sidecar.metrics import CATALOGUE
from undertone_telemetry import Kind

from tests.chart.support.combinations import COMBINATIONS
from tests.chart.support.pods import find_container, inference_pod


def hpa(chart: Chart, values: Manifest | None = None) -> Manifest:
    found: Manifest = chart.render(values).one("HorizontalPodAutoscaler", "-inference")["spec"]
    return found


def test_target_is_70_percent_cpu_of_the_model_server(chart: Chart) -> None:
    (metric,) = hpa(chart)["metrics"]
    assert metric["type"] == "ContainerResource"
    assert metric["containerResource"] == {
        "container": "model-server",
        "name": "cpu",
        "target": {"type": "Utilization", "averageUtilization": 70},
    }
    assert find_container(inference_pod(chart), "model-server")


def test_scales_up_fast_to_100_pods_and_down_slowly(chart: Chart) -> None:
    assert (hpa(chart)["minReplicas"], hpa(chart)["maxReplicas"]) == (2, 100)
    up, down = hpa(chart)["behavior"]["scaleUp"], hpa(chart)["behavior"]["scaleDown"]
    assert up["stabilizationWindowSeconds"] == 0
    assert down["stabilizationWindowSeconds"] >= 300
    assert up["selectPolicy"] == "Max"
    # Doubles every 15 seconds; removes 10 percent per minute.
    assert {"type": "Percent", "value": 100, "periodSeconds": 15} in up["policies"]
    assert down["policies"] == [{"type": "Percent", "value": 10, "periodSeconds": 60}]


@pytest.mark.parametrize(
    ("combination", "kinds"),
    [("defaults", ("HorizontalPodAutoscaler",)), ("keda", ("ScaledObject",)), ("no load balancer", ())],
)
def test_deployment_has_at_most_one_autoscaler(chart: Chart, combination: str, kinds: tuple[str, ...]) -> None:
    manifests = chart.render(COMBINATIONS[combination])
    scalers = [
        manifest["kind"]
        for manifest in manifests
        if manifest.get("spec", {}).get("scaleTargetRef", {}).get("name") == "spring-undertone-inference"
    ]
    assert scalers == list(kinds)


def test_replicas_are_fixed_without_an_autoscaler(chart: Chart) -> None:
    assert chart.render(COMBINATIONS["no load balancer"]).one("Deployment")["spec"]["replicas"] == 3


def test_keda_scales_by_queue_time_and_cpu(chart: Chart) -> None:
    scaled = chart.render(COMBINATIONS["keda"]).one("ScaledObject")
    assert scaled["apiVersion"] == "keda.sh/v1alpha1"
    assert (scaled["spec"]["minReplicaCount"], scaled["spec"]["maxReplicaCount"]) == (2, 100)
    queue, cpu = scaled["spec"]["triggers"]
    assert (queue["type"], queue["metricType"]) == ("prometheus", "Value")
    assert queue["metadata"]["serverAddress"] == "http://prometheus.monitoring:9090"
    # Without calls the quantile is NaN, which the autoscaler cannot use. NaN >= 0 is false.
    assert queue["metadata"]["query"] == (
        "(histogram_quantile(0.9, sum by (le) (rate(undertone_queue_seconds_bucket"
        '{lane="online", namespace="reading", pod=~"spring-undertone-inference-.*"}[1m]))) >= 0) or vector(0)'
    )
    assert cpu == {"type": "cpu", "metricType": "Utilization", "metadata": {"containerName": "model-server", "value": "70"}}
    assert all(isinstance(value, str) for trigger in (queue, cpu) for value in trigger["metadata"].values())
    behavior = scaled["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert behavior == hpa(chart)["behavior"]


def test_the_fleet_scales_to_zero_and_jobs_and_schedules_start_it(chart: Chart) -> None:
    spec = chart.render(COMBINATIONS["scale to zero"]).one("ScaledObject")["spec"]
    assert (spec["minReplicaCount"], spec["cooldownPeriod"]) == (0, 300)
    queue, jobs, schedule, cpu = spec["triggers"]
    assert (queue["metadata"]["threshold"], cpu["type"]) == ("0.25", "cpu")
    # The result is the number of pods: the autoscaler must not multiply it by the present number.
    assert (jobs["type"], jobs["metricType"], jobs["metadata"]["threshold"]) == ("prometheus", "AverageValue", "1")
    assert schedule == {
        "type": "cron",
        "metadata": {
            "timezone": "Europe/Berlin",
            "start": "45 1 * * *",
            "end": "30 2 * * *",
            "desiredReplicas": "40",
        },
    }


def test_a_fleet_that_does_not_scale_to_zero_has_no_cooldown(chart: Chart) -> None:
    assert "cooldownPeriod" not in chart.render(COMBINATIONS["keda"]).one("ScaledObject")["spec"]


def test_sidecar_has_the_metric_of_the_keda_query() -> None:
    (queue,) = [metric for metric in CATALOGUE if metric.name == "undertone_queue_seconds"]
    assert (queue.kind, queue.labels) == (Kind.HISTOGRAM, ("lane",))


def test_disruption_budget_allows_a_tenth_and_unready_pods(chart: Chart) -> None:
    budget = chart.render().one("PodDisruptionBudget", "-inference")["spec"]
    assert budget["maxUnavailable"] == "10%"
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_null_creates_no_disruption_budget(chart: Chart) -> None:
    budgets = chart.render(COMBINATIONS["minimal"]).of("PodDisruptionBudget")
    assert not [budget for budget in budgets if budget["metadata"]["name"].endswith("-inference")]


@pytest.mark.parametrize(("threads_per_core", "percent"), [(1, 70), (2, 35)])
def test_the_cpu_target_is_relative_to_the_cpus_that_the_model_server_can_use(
    chart: Chart, threads_per_core: int, percent: int
) -> None:
    server = {"modelServer": {"threadsPerCore": threads_per_core}}
    (metric,) = chart.render(server).one("HorizontalPodAutoscaler", "-inference")["spec"]["metrics"]
    assert metric["containerResource"]["target"]["averageUtilization"] == percent
    keda = chart.render({**COMBINATIONS["keda"], **server}).one("ScaledObject")["spec"]["triggers"]
    assert [trigger["metadata"]["value"] for trigger in keda if trigger["type"] == "cpu"] == [str(percent)]


def test_notes_say_that_the_fleet_is_scaled_to_zero(chart: Chart) -> None:
    text = "KEDA stops all pods while there is no work."
    assert chart.notes(COMBINATIONS["scale to zero"]).lstrip().startswith(text)
    assert text not in chart.notes()
