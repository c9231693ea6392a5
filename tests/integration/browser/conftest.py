"""Runs steps in a browser, in the environment build/browser."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.support.processes import ENVIRONMENT, TIMEOUT_SECONDS

ROOT = Path(__file__).parents[3]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
Steps = Callable[[str, str], dict[str, Any]]


@pytest.fixture(scope="session")
def steps() -> Steps:
    """Runs a program of this folder with an address and a browser. Returns what it found.

    Skips the test if there is no environment or no browser.
    """
    python = ROOT / "build/browser/bin/python"
    if not os.access(python, os.X_OK):
        pytest.skip("build/browser does not exist: run .ci/browser")
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is on the PATH: run .ci/browser, or install one")

    def run(name: str, url: str) -> dict[str, Any]:
        program = [str(python), str(Path(__file__).with_name(name)), url, browser]
        done = subprocess.run(program, check=False, capture_output=True, text=True, env=ENVIRONMENT, timeout=TIMEOUT_SECONDS)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    return run
