"""Helm, and the chart to render with it."""

from pathlib import Path

import pytest
from undertone_bench.chart import Chart, find_helm

from tests.chart.support.paths import CHART


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of helm."""
    return find_helm(tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="session")
def chart(helm: Path, tmp_path_factory: pytest.TempPathFactory) -> Chart:
    """The chart. Each set of values is rendered once in a session."""
    return Chart(helm, tmp_path_factory.mktemp("home"), CHART)
