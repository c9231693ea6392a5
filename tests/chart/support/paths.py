"""Paths of the repository and of the chart."""

from pathlib import Path

ROOT = Path(__file__).parents[3]
CHART = ROOT / "deploy/helm/undertone"
