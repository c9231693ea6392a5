"""The command `python -m release`."""

import subprocess
import sys
from pathlib import Path

from release.version import read_version

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "release", *arguments]
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=60)


def test_help_lists_the_commands() -> None:
    printed = run("--help").stdout
    assert [
        name for name in ("actionlint", "build", "bump", "chart", "check", "install", "notes") if f"  {name} " not in printed
    ] == []


def test_problems_are_printed_without_a_traceback() -> None:
    done = run("notes", "v0.0.0")
    assert done.returncode == 1
    assert f"The tag is 'v0.0.0' and the version is {read_version(ROOT)}" in done.stderr
    assert "Traceback" not in done.stderr


def test_unknown_distributions_are_refused(tmp_path: Path) -> None:
    done = run("install", "undertone-bench", "--output", str(tmp_path))
    assert done.returncode == 2
    assert "undertone-bench: choose from " in done.stderr
    assert not list(tmp_path.iterdir())
