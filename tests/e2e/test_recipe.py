"""Checks of the end-to-end test and of CI that need no cluster."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from undertone_bench.chart import Chart

from tests.chart.support.paths import CHART, ROOT

SCRIPT = ROOT / "tests/e2e/run.sh"
CACHE_DNS = ROOT / "deploy/kind/cache-dns.sh"
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())


def test_shellcheck_passes() -> None:
    if not (shellcheck := shutil.which("shellcheck")):
        pytest.skip("shellcheck is not installed; install the Debian package shellcheck")
    scripts = [
        SCRIPT,
        CACHE_DNS,
        ROOT / "tests/docker/engine.sh",
        ROOT / "docker/batch/entrypoint.sh",
        *(CHART / "files").rglob("*.sh"),
    ]
    found = subprocess.run([shellcheck, *scripts], check=False, capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stdout


def test_chart_has_the_values_and_objects_that_the_script_names(chart: Chart) -> None:
    script = SCRIPT.read_text()
    paths = set(re.findall(r"\b((?:autoscaling|batch|loadBalancer|nodePool|modelServer)(?:\.\w+)+)=(?!\{)", script))
    assert paths
    given: dict[str, Any] = {
        "nodePool": {"placement": "required"},
        "autoscaling": {"minReplicas": 2, "maxReplicas": 3, "behavior": {"scaleDown": {"stabilizationWindowSeconds": 15}}},
        "loadBalancer": {"envoy": {"autoscaling": {"maxReplicas": 2}}},
        "batch": {"output": {"claim": "scores"}, "backfill": {"enabled": True}},
    }
    assert paths == set(leaves(given))
    inputs = {"inputs": ["/etc/os-release"], "args": ["--format=text"]}
    assert set(re.findall(r"\bbatch\.backfill\.(\w+)=\{", script)) == inputs.keys()
    given["batch"]["backfill"].update(inputs)
    overlays = re.findall(r'\$chart/(values-[\w-]+\.yaml)"', script)
    assert overlays == ["values-dev-server.yaml"]
    # The schema of the chart rejects unknown values.
    manifests = chart.render(given, files=("values-kind.yaml", *overlays), release="undertone")
    kinds = {"cronjob": "CronJob", "deployment": "Deployment", "service": "Service"}
    named = re.findall(r"\b(cronjob|deployment|service)/(undertone-\w+)", script)
    assert {kind for kind, _ in named} == kinds.keys()
    assert named
    rendered = {(manifest["kind"], manifest["metadata"]["name"]) for manifest in manifests}
    assert {(kinds[kind], name) for kind, name in named} <= rendered


def leaves(values: dict[str, Any], prefix: str = "") -> list[str]:
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
    assert {"model-server": "dev-server", "dns": "cached"} in job["strategy"]["matrix"]["include"]
    (step,) = [step for step in job["steps"] if step.get("if") == "matrix.dns == 'cached'"]
    assert ROOT / step["run"] == CACHE_DNS
    assert '--set "loadBalancer.dnsCacheSeconds=$DNS_CACHE_SECONDS"' in commands
    images = set(re.findall(r"\bbuild ([a-z-]+) undertone-worker", commands))
    assert images == {folder.name for folder in (ROOT / "docker").iterdir()}


def test_cached_dns_is_configured_for_the_names_of_the_cluster(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    (tmp_path / "kubectl").write_text(f"""#!/bin/sh
printf '%s\\n' "$*" >>{calls}
case "$1" in apply) cat >/dev/null ;; esac
""")
    (tmp_path / "kubectl").chmod(0o755)
    subprocess.run([CACHE_DNS], check=True, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, timeout=60)
    written = calls.read_text()
    (ttl,) = re.findall(r"cache (\d+) \{\n +success \d+ (\d+)\n", written)
    assert ttl == ("30", "30")
    assert "disable" not in written  # as in the Corefile of kind
    assert "rollout status deployment/coredns" in written
