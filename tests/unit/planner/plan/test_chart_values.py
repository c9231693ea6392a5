from pathlib import Path

import pytest
from undertone_planner.errors import ValuesError
from undertone_planner.plan.chart_values import ChartValues

CHART_VALUES = Path(__file__).parents[4] / "deploy/helm/undertone/values.yaml"


def test_the_defaults_are_those_of_the_chart() -> None:
    assert ChartValues.read(CHART_VALUES) == ChartValues()


def test_values_that_are_not_set_have_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "values.yaml"
    path.write_text("autoscaling: {maxReplicas: 30}\nmodelServer:\n  resources:\n    limits: {cpu: 3500m}\n")
    values = ChartValues.read(path)
    assert (values.max_replicas, values.min_replicas, values.model_cpu_limit, values.model_calls) == (30, 2, 3.5, 3)
    path.write_text("")
    assert ChartValues.read(path) == ChartValues()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("autoscaling: {maxReplicas: many}", "autoscaling.maxReplicas is 'many': use an integer"),
        ("autoscaling: {minReplicas: 5, maxReplicas: 4}", "minReplicas must be at least 0 and must not exceed"),
        ("model: {precision: int8}", "model.precision is 'int8': use auto, fp32 or bf16"),
        ("autoscaling: {minReplicas: 0}", "hpa, which cannot start the first pod: use keda"),
        ("autoscaling: {type: vpa}", "use hpa, keda or none"),
        ("modelServer: {resources: {limits: {cpu: 2x}}}", "limits.cpu is '2x': use a number of CPUs"),
        ("modelServer: {resources: {requests: {memory: 1Q}}}", "use a size such as 3584Mi"),
        ("modelServer: {threadsPerCore: 0}", "use a number above 0"),
        ("- a", "is not a map"),
        ("a: [", "is not YAML"),
    ],
)
def test_wrong_values_name_the_file_the_key_and_the_remedy(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "values.yaml"
    path.write_text(text)
    with pytest.raises(ValuesError, match=message) as found:
        ChartValues.read(path)
    assert str(path) in str(found.value)


def test_pods_of_whole_cores_are_those_of_the_page_on_node_pools() -> None:
    values = ChartValues().with_cores(2, 2)
    assert (values.model_cpu_request, values.model_cpu_limit, values.threads_per_core) == (3.5, 4.0, 2)
    assert values.model_calls == 2
