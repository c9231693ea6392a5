"""Files that must agree with the pyproject.toml files of the uv workspace."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from release.distributions import read_members


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
    """Returns a problem for each requirement that no version in requirements.lock satisfies."""
    locked: dict[str, list[str]] = {}
    for name, version in re.findall(r"^(\S+)==(\S+)", (root / "requirements.lock").read_text(), re.MULTILINE):
        locked.setdefault(name, []).append(version)
    members = {canonicalize_name(member.name) for member in read_members(root)}
    return [
        f"requirements.lock has no version of {requirement.name} that {file.relative_to(root)} accepts: run 'make lock'."
        for file, requirement in _requirements(root)
        if (name := canonicalize_name(requirement.name)) not in members
        and not any(requirement.specifier.contains(version, prereleases=True) for version in locked.get(name, []))
    ]


def _requirements(root: Path) -> Iterator[tuple[Path, Requirement]]:
    """Yields all groups, dependencies and published extras, with their files."""
    file = root / "pyproject.toml"
    for lines in tomllib.loads(file.read_text())["dependency-groups"].values():
        yield from ((file, Requirement(line)) for line in lines)
    for member in read_members(root):
        file = root / member.folder / "pyproject.toml"
        project = tomllib.loads(file.read_text())["project"]
        # `make lock` leaves out the extra of the benchmarks, which compares other software.
        extras = project.get("optional-dependencies", {}) if member.published else {}
        for lines in (project["dependencies"], *extras.values()):
            yield from ((file, Requirement(line)) for line in lines)
