"""Writes the alerts of compose.yaml: those of the chart that need no Kubernetes and no Envoy.

`python -m deploy.compose` writes deploy/compose/alerts.yaml. With --check it compares only, and
exits with 1 if the file is out of date.
"""

import argparse
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from undertone_bench.chart import Chart, find_helm

FOLDER = Path(__file__).parent
ALERTS = FOLDER / "alerts.yaml"
CHART = FOLDER.parent / "helm/undertone"

NAMESPACE = "compose"
"""The namespace that prometheus.yaml gives to the series."""

# Series of kube-state-metrics, of Envoy, and of the chart's jobs.
_ELSEWHERE = re.compile(r"\b(kube_|envoy_|undertone_job_)")


def alerts(chart: Chart) -> str:
    """The content of the file."""
    rendered = chart.render({"monitoring": {"prometheusRule": True}}, release="undertone", namespace=NAMESPACE)
    groups: list[dict[str, Any]] = []
    for group in rendered.one("PrometheusRule")["spec"]["groups"]:
        rules = [rule for rule in group["rules"] if not _ELSEWHERE.search(rule["expr"])]
        if rules:
            groups.append({**group, "rules": rules})
    header = "# The alerts of the chart that need no Kubernetes. `python -m deploy.compose` writes this file.\n"
    return header + yaml.safe_dump({"groups": groups}, sort_keys=False, width=120)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description="Writes the alerts of compose.yaml.")
    parser.add_argument("--check", action="store_true", help="compare only; exit with 1 if the file is out of date")
    check = parser.parse_args(arguments).check
    with tempfile.TemporaryDirectory() as folder:
        text = alerts(Chart(find_helm(Path(folder)), Path(folder), CHART))
    if ALERTS.exists() and ALERTS.read_text(encoding="utf-8") == text:
        return 0
    if check:
        print(f"{ALERTS} is out of date; run python -m deploy.compose", file=sys.stderr)
        return 1
    ALERTS.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
