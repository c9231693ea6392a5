"""Prometheus's programs, which come with Debian's packages prometheus and prometheus-pushgateway."""

import os
import shutil
from pathlib import Path

import pytest

from tests.chart.support.paths import ROOT

UNPACKED = ROOT / "build/prometheus/usr/bin"
"""Where .ci/prometheus puts them on a machine that does not have them."""


def find(program: str) -> Path:
    """Path of promtool, prometheus or prometheus-pushgateway. Skips the test where it is not there."""
    found = shutil.which(program, path=f"{os.environ['PATH']}{os.pathsep}{UNPACKED}")
    if found is None:
        pytest.skip(
            f"{program} is not there; install Debian's packages prometheus and prometheus-pushgateway, or run .ci/prometheus"
        )
    return Path(found)
