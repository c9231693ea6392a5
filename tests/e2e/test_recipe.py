"""Checks of the end-to-end test and of CI that need no cluster."""

import re
import shutil
import subprocess

import pytest
import yaml
from undertone_bench.chart import Chart

from tests.chart.support.paths import CHART, ROOT

SCRIPT = ROOT / "tests/e2e/run.sh"
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())


def test_shellcheck_passes() -> None:
    if not (shellcheck := shutil.which("shellcheck")):
        pytest.skip("shellcheck is not installed; install the Debian package shellcheck")
    scripts = [SCRIPT, ROOT / "tests/docker/engine.sh", ROOT / "docker/batch/entrypoint.sh"]
    found = subprocess.run([shellcheck, *scripts], check=False, capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stdout


def test_chart_has_the_values_and_objects_that_the_script_names(chart: Chart) -> None:
    script = SCRIPT.read_text()
    paths = set(re.findall(r"\b((?:autoscaling|loadBalancer|nodePool|modelServer)(?:\.\w+)+)=", script))
    assert paths
    given = {
        "nodePool": {"placement": "required"},
        "autoscaling": {"minReplicas": 2, "maxReplicas": 3, "behavior": {"scaleDown": {"stabilizationWindowSeconds": 15}}},
        "loadBalancer": {"envoy": {"autoscaling": {"maxReplicas": 2}}},
    }
    assert paths == set(leaves(given))
    overlays = re.findall(r'\$chart/(values-[\w-]+\.yaml)"', script)
    assert overlays == ["values-dev-server.yaml"]
    # The schema of the chart rejects unknown values.
    manifests = chart.render(given, files=("values-kind.yaml", *overlays), release="undertone")
    kinds = {"deployment": "Deployment", "service": "Service"}
    named = re.findall(r"\b(deployment|service)/(undertone-\w+)", script)
    assert named
    rendered = {(manifest["kind"], manifest["metadata"]["name"]) for manifest in manifests}
    assert {(kinds[kind], name) for kind, name in named} <= rendered


def leaves(values: dict[str, object], prefix: str = "") -> list[str]:
    """The paths of all values, in the notation of --set."""
    paths: list[str] = []
    for name, value in values.items():
        paths += leaves(value, f"{prefix}{name}.") if isinstance(value, dict) else [f"{prefix}{name}"]
    return paths


def test_script_rejects_an_unknown_model_server() -> None:
    done = subprocess.run([SCRIPT, "--model-server", "x"], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "--model-server 'x' is invalid: use tf-serving or dev-server" in done.stderr


def test_ci_runs_the_script_with_both_model_servers() -> None:
    job = WORKFLOW["jobs"]["e2e"]
    assert job["strategy"]["matrix"]["model-server"] == ["tf-serving", "dev-server"]
    commands = "\n".join(step.get("run", "") for step in job["steps"])
    (values,) = re.findall(r'tests/e2e/run\.sh --model-server "\$MODEL_SERVER" --values (\S+)', commands)
    assert ROOT / values == CHART / "values-kind.yaml"
    images = set(re.findall(r"\bbuild ([a-z-]+) undertone-worker", commands))
    assert images == {folder.name for folder in (ROOT / "docker").iterdir()}
