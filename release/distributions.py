"""Wheels and sdists of the workspace's members."""

import email.message
import email.parser
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from release.errors import ReleaseError

_PRIVATE = "Private :: Do Not Upload"
_URLS = {"Homepage", "Documentation", "Changelog", "Issues"}


@dataclass(frozen=True, slots=True)
class Member:
    """A member of the uv workspace: a folder with a pyproject.toml."""

    folder: Path
    name: str
    published: bool
    """False for members that the package index must refuse, such as the benchmarks."""
    scripts: tuple[str, ...]
    """Names of the installed commands."""


@dataclass(frozen=True)
class Wheel:
    """A built wheel."""

    path: Path

    @cached_property
    def metadata(self) -> email.message.Message:
        (name,) = (name for name in self.files if name.endswith(".dist-info/METADATA"))
        with zipfile.ZipFile(self.path) as archive:
            return email.parser.Parser().parsestr(archive.read(name).decode())

    @cached_property
    def files(self) -> list[str]:
        with zipfile.ZipFile(self.path) as archive:
            return archive.namelist()

    @property
    def name(self) -> str:
        return str(self.metadata["Name"])

    @property
    def packages(self) -> list[str]:
        """The top-level packages."""
        return sorted({name.partition("/")[0] for name in self.files if ".dist-info/" not in name})


def read_members(root: Path) -> list[Member]:
    """Reads all members of the uv workspace, dependencies before their dependents."""
    workspace = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["uv"]["workspace"]
    files = [file for pattern in workspace["members"] for file in root.glob(f"{pattern}/pyproject.toml")]
    projects = {file.parent: tomllib.loads(file.read_text())["project"] for file in files}
    requirements = {project["name"]: _required_names(project) for project in projects.values()}

    def depth(name: str) -> int:
        return 1 + max((depth(required) for required in requirements[name] & requirements.keys()), default=0)

    return [
        Member(
            folder=folder.relative_to(root),
            name=project["name"],
            published=_PRIVATE not in project.get("classifiers", []),
            scripts=tuple(project.get("scripts", {})),
        )
        for folder, project in sorted(projects.items(), key=lambda item: (depth(item[1]["name"]), item[1]["name"]))
    ]


def build(root: Path, members: list[Member], version: str, output: Path) -> list[Wheel]:
    """Builds an sdist of each member, and its wheel from the unpacked sdist, into `output`.

    The sdist is built from a copy of the files that git does not ignore. The copy gets LICENSE, and
    requires other members in exactly the same version.
    """
    output = output.resolve()
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    all_members = read_members(root)
    wheels = []
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary) / "source"
        source.mkdir()
        shutil.copy(root / "VERSION", source)
        for member in members:
            folder = _copy_files(root, member.folder, source)
            shutil.copy(root / "LICENSE", folder)
            project = folder / "pyproject.toml"
            project.write_text(_pin_members(project.read_text(), all_members, version))
            sdist = _hatchling("sdist", folder, output)
            with tarfile.open(sdist) as archive:
                archive.extractall(Path(temporary) / "unpacked", filter="data")
            unpacked = Path(temporary) / "unpacked" / sdist.name.removesuffix(".tar.gz")
            wheels.append(Wheel(_hatchling("wheel", unpacked, output)))
    return wheels


def check_metadata(wheel: Wheel, members: list[Member], version: str) -> list[str]:
    """Returns what the wheel's metadata lacks for a package index and for type checkers."""
    metadata = wheel.metadata
    urls = {value.partition(",")[0] for value in metadata.get_all("Project-URL", [])}
    names = {member.name for member in members}
    requirements = [Requirement(value) for value in metadata.get_all("Requires-Dist", [])]
    checks = {
        f"version {version}": metadata["Version"] == version,
        "a description of at most 120 characters": 0 < len(metadata.get("Summary", "")) <= 120,
        "the license Apache-2.0": metadata["License-Expression"] == "Apache-2.0",
        "the license's text": any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel.files),
        "a readme in Markdown": metadata["Description-Content-Type"] == "text/markdown" and bool(metadata.get_payload()),
        f"the URLs {', '.join(sorted(_URLS))}": urls >= _URLS,
        "keywords": bool(metadata["Keywords"]),
        "the classifier Typing :: Typed": "Typing :: Typed" in metadata.get_all("Classifier", []),
        "a supported range of Python versions": bool(metadata["Requires-Python"]),
        "py.typed in each package": all(f"{package}/py.typed" in wheel.files for package in wheel.packages),
        f"other members required in version {version}": all(
            str(requirement.specifier) == f"=={version}" for requirement in requirements if requirement.name in names
        ),
    }
    return [f"{wheel.path.name} lacks {what}." for what, present in checks.items() if not present]


def _required_names(project: dict[str, Any]) -> set[str]:
    extras = [line for lines in project.get("optional-dependencies", {}).values() for line in lines]
    return {Requirement(line).name for line in [*project["dependencies"], *extras]} - {project["name"]}


def _copy_files(root: Path, folder: Path, target: Path) -> Path:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", folder],
        cwd=root, check=True, capture_output=True, text=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.split("\0")):
        if (root / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / name, target / name)
    return target / folder


def _pin_members(project: str, members: list[Member], version: str) -> str:
    for member in members:
        # An item of a list. The project's name and a script's target are not followed by a comma
        # or a bracket.
        dependency = re.compile(rf'"({re.escape(member.name)}(?:\[[\w,-]+\])?)"(?=\s*[,\]])')
        project = dependency.sub(rf'"\g<1>=={version}"', project)
    return project


def _hatchling(target: str, folder: Path, output: Path) -> Path:
    """Builds one sdist or wheel with the installed hatchling, and returns its path."""
    before = set(output.iterdir())
    process = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(output)],
        cwd=folder, check=False, capture_output=True, text=True,
    )  # fmt: skip
    if process.returncode:
        raise ReleaseError(f"The {target} of {folder.name} could not be built:\n{process.stderr}")
    (built,) = set(output.iterdir()) - before
    return built
