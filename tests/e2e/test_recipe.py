"""What can be seen of the end-to-end trial without a cluster: it and CI are well-formed, and the chart has its names."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.chart.support.rendering import Chart, find_helm

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tests/e2e/run.sh"


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Chart:
    return Chart(find_helm(tmp_path_factory.mktemp("helm")), tmp_path_factory.mktemp("home"))


def test_shellcheck_finds_nothing() -> None:
    if not (shellcheck := shutil.which("shellcheck")):
        pytest.skip("shellcheck is not installed; Debian's package has that name")
    scripts = [SCRIPT, ROOT / "tests/docker/engine.sh", ROOT / "docker/batch/entrypoint.sh"]
    found = subprocess.run([shellcheck, *scripts], check=False, capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stdout


def test_the_chart_has_what_the_trial_asks_for(chart: Chart) -> None:
    script = SCRIPT.read_text()
    # The schema refuses what it does not know.
    paths = set(re.findall(r"\b((?:autoscaling|loadBalancer|nodePool|modelServer)(?:\.\w+)+)=", script))
    assert paths
    given = {
        "modelServer": {"kind": "stand-in"},
        "nodePool": {"placement": "required"},
        "autoscaling": {"minReplicas": 2, "maxReplicas": 3, "behavior": {"scaleDown": {"stabilizationWindowSeconds": 15}}},
        "loadBalancer": {"envoy": {"autoscaling": {"maxReplicas": 2}}},
    }
    assert paths == set(leaves(given))
    manifests = chart.render(given, file="values-kind.yaml", release="undertone")
    kinds = {"deployment": "Deployment", "service": "Service"}
    named = re.findall(r"\b(deployment|service)/(undertone-\w+)", script)
    assert named
    rendered = {(manifest["kind"], manifest["metadata"]["name"]) for manifest in manifests}
    assert {(kinds[kind], name) for kind, name in named} <= rendered


def leaves(values: dict[str, object], prefix: str = "") -> list[str]:
    """The paths of all settings, as --set takes them."""
    paths: list[str] = []
    for name, value in values.items():
        paths += leaves(value, f"{prefix}{name}.") if isinstance(value, dict) else [f"{prefix}{name}"]
    return paths


def test_ci_never_skips_the_images() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    commands = [step.get("run") for step in workflow["jobs"]["images"]["steps"]]
    assert commands.index("docker info") < commands.index(".venv/bin/pytest tests/docker")


def test_ci_pins_every_action_to_a_commit() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    used = [step["uses"] for job in workflow["jobs"].values() for step in job["steps"] if "uses" in step]
    assert used
    assert [action for action in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action)] == []
