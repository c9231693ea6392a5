"""Files that must agree with the pyproject.toml files of the uv workspace."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from release.distributions import read_members

_LOCKS = {"main": "requirements.lock", "schedulers": "tests/integration/schedules/*.lock"}
"""Airflow and Luigi, which undertone-schedules names as extras, conflict with the main lock."""

_NOT_LOCKED = {"undertone-model": {"large"}}
"""Extras that no test installs: 404 MB."""


def check_workspace(root: Path) -> list[str]:
    """Returns a problem for each list of members that differs from the workspace's."""
    tools = tomllib.loads((root / "pyproject.toml").read_text())["tool"]
    problems = []
    packages = re.search(r"^PACKAGES := (.+)$", (root / "Makefile").read_text(), re.MULTILINE)
    if not packages or packages[1].split() != tools["uv"]["workspace"]["members"]:
        problems.append("PACKAGES of the Makefile differs from members of [tool.uv.workspace] in pyproject.toml.")
    sources = {f"{member.folder}/src" for member in read_members(root)}
    if sources != {path for path in tools["mypy"]["mypy_path"] if path.endswith("src")}:
        problems.append("mypy_path in pyproject.toml differs from the src folders of the workspace's members.")
    return problems


def check_lock(root: Path) -> list[str]:
    """Returns a problem for each requirement that no version in its lock satisfies."""
    locks = {name: _read_locks(root, pattern) for name, pattern in _LOCKS.items()}
    members = {canonicalize_name(member.name) for member in read_members(root)}
    return [
        f"{_LOCKS[lock]} has no version of {requirement.name} that {file.relative_to(root)} accepts: run 'make lock'."
        for file, requirement, lock in _requirements(root)
        if (name := canonicalize_name(requirement.name)) not in members
        and not any(requirement.specifier.contains(version, prereleases=True) for version in locks[lock].get(name, []))
    ]


def _read_locks(root: Path, pattern: str) -> dict[str, list[str]]:
    locked: dict[str, list[str]] = {}
    for file in root.glob(pattern):
        for name, version in re.findall(r"^(\S+)==(\S+)", file.read_text(), re.MULTILINE):
            locked.setdefault(name, []).append(version)
    return locked


def _requirements(root: Path) -> Iterator[tuple[Path, Requirement, str]]:
    """Yields all groups, dependencies and locked extras, with their files and their locks."""
    file = root / "pyproject.toml"
    for lines in tomllib.loads(file.read_text())["dependency-groups"].values():
        yield from ((file, Requirement(line), "main") for line in lines)
    for member in read_members(root):
        file = root / member.folder / "pyproject.toml"
        project = tomllib.loads(file.read_text())["project"]
        yield from ((file, Requirement(line), "main") for line in project["dependencies"])
        # `make lock` leaves out the extra of the benchmarks, which compares other software.
        extras = project.get("optional-dependencies", {}) if member.published else {}
        lock = "schedulers" if member.name == "undertone-schedules" else "main"
        locked = [lines for extra, lines in extras.items() if extra not in _NOT_LOCKED.get(member.name, ())]
        yield from ((file, Requirement(line), lock) for lines in locked for line in lines)
