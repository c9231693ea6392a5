"""The programs of Prometheus, from the Debian packages prometheus and prometheus-pushgateway."""

import os
import shutil
from pathlib import Path

import pytest

from tests.chart.support.paths import ROOT

UNPACKED = ROOT / "build/prometheus/usr/bin"
"""The directory to which .ci/prometheus unpacks the packages if they are not installed."""


def find(program: str) -> Path:
    """The path of promtool, prometheus or prometheus-pushgateway. Skips the test if missing."""
    found = shutil.which(program, path=f"{os.environ['PATH']}{os.pathsep}{UNPACKED}")
    if found is None:
        pytest.skip(
            f"{program} is missing; install the Debian packages prometheus and prometheus-pushgateway, or run .ci/prometheus"
        )
    return Path(found)
