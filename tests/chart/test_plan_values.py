"""The values that undertone-plan writes pass the schema and the checks of the chart."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from undertone_bench.chart import Chart
from undertone_planner.cli import main

from tests.chart.support.paths import CHART

CLOSED_FORM = ("--no-simulate",)
LOADS = {
    "batch": ("--paragraphs", "20_000_000", "--within", "24h", "--pod-cores", "2", "--node-type", "c7i.4xlarge"),
    "readers": ("--readers-per-second", "200", "--p99", "0.6"),
    "both": ("--paragraphs", "1_000_000", "--within", "1d", "--readers-per-second", "20", "--p99", "3"),
}
USER: dict[str, Any] = {
    "autoscaling": {"maxReplicas": 60, "behavior": {"scaleDown": {"stabilizationWindowSeconds": 600}}},
    "nodePool": {"karpenter": {"enabled": True}},
    "batch": {"runner": "kubernetes", "output": {"url": "s3://lake/scores"}, "table": {"catalog": {"type": "glue"}}},
    "networkPolicy": {"objectStore": [{}], "kubernetesApi": [{}]},
}


@pytest.mark.parametrize("load", LOADS)
def test_the_chart_renders_the_values_of_a_plan(load: str, chart: Chart, tmp_path: Path) -> None:
    path = tmp_path / "values.yaml"
    main([*LOADS[load], *CLOSED_FORM, "--json", "--write", str(path)])
    values = yaml.safe_load(path.read_text())
    manifests = chart.render(values)
    scaler = manifests.one("HorizontalPodAutoscaler", "inference")
    assert scaler["spec"]["minReplicas"] == values["autoscaling"]["minReplicas"]
    assert scaler["spec"]["maxReplicas"] == values["autoscaling"].get("maxReplicas", 100)
    pod = manifests.one("Deployment", "inference")["spec"]["template"]["spec"]
    containers = (*pod["containers"], *pod["initContainers"])
    model_server = next(container for container in containers if container["name"] == "model-server")
    assert model_server["resources"]["requests"]["cpu"] == values["modelServer"]["resources"]["requests"]["cpu"]


def test_the_chart_renders_the_users_values_with_those_of_the_plan(chart: Chart, tmp_path: Path) -> None:
    path = tmp_path / "values.yaml"
    path.write_text(yaml.safe_dump(USER))
    main([*LOADS["batch"], *CLOSED_FORM, "--json", "--values", str(path), "--write", str(path)])
    values = yaml.safe_load(path.read_text())
    assert values["autoscaling"]["behavior"] == USER["autoscaling"]["behavior"]
    manifests = chart.render(values)
    vcpus = int(values["nodePool"]["karpenter"]["limits"]["cpu"])
    assert vcpus % 16 == 0
    assert all(pool["spec"]["limits"]["cpu"] == str(vcpus) for pool in manifests.of("NodePool"))


def test_a_copy_of_the_charts_values_keeps_every_comment(tmp_path: Path) -> None:
    path, before = tmp_path / "values.yaml", (CHART / "values.yaml").read_text()
    main([*LOADS["batch"], "--no-simulate", "--json", "--values", str(CHART / "values.yaml"), "--write", str(path)])
    pairs = list(zip(before.splitlines(), path.read_text().splitlines(), strict=True))
    changed = {old.strip().partition(":")[0] for old, new in pairs if old != new}
    assert changed <= {"maxReplicas", "precision", "requests", "limits", "threadsPerCore", "deadlineSeconds"}
    assert changed >= {"maxReplicas", "threadsPerCore"}
    assert [old for old, _ in pairs if old.lstrip().startswith("#")] == [
        new for _, new in pairs if new.lstrip().startswith("#")
    ]
