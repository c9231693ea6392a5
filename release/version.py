"""The version number: the file VERSION, and the files that need a copy of it."""

import re
from collections.abc import Iterator
from pathlib import Path

from release.errors import ReleaseError

_VERSION = re.compile(r"\d+\.\d+\.\d+((a|b|rc)\d+)?")
_CHART = re.compile(r"^((?:version|appVersion): *)(\S+)$", re.MULTILINE)
_LABEL = re.compile(r"^(ARG VERSION=)(\S+)$", re.MULTILINE)
_REFERENCE = re.compile(r"(ghcr\.io/undertone/[\w-]+:|ghcr\.io/undertone/charts/undertone --version )(\d+\.\d+\.\d+(?:-\w+)?)")
"""References to a published image or chart in documents."""


def read_version(root: Path) -> str:
    """Returns the content of VERSION. Raises ReleaseError if it is not a version."""
    return _checked((root / "VERSION").read_text().strip())


def semantic_version(version: str) -> str:
    """The version of the chart and the images: 1.0.0rc1 becomes 1.0.0-rc1, as SemVer requires."""
    return re.sub(r"(?<=\d)(a|b|rc)(?=\d)", r"-\1", version)


def check_copies(root: Path) -> list[str]:
    """Returns a problem for each file whose copy of the version is missing or out of date."""
    expected = semantic_version(read_version(root))
    problems = []
    for path, pattern in _files_with_copies(root):
        found = {match[2] for match in pattern.finditer(path.read_text())}
        if found != {expected} and (found or pattern is not _REFERENCE):
            problems.append(
                f"{path.relative_to(root)} has version {', '.join(sorted(found)) or 'none'}; "
                f"VERSION requires {expected}. Run 'python -m release bump VERSION'."
            )
    return problems


def write_version(root: Path, version: str) -> None:
    """Writes VERSION and all copies. Raises ReleaseError if `version` is not a version."""
    (root / "VERSION").write_text(f"{_checked(version)}\n")
    for path, pattern in _files_with_copies(root):
        path.write_text(pattern.sub(rf"\g<1>{semantic_version(version)}", path.read_text()))


def _files_with_copies(root: Path) -> Iterator[tuple[Path, re.Pattern[str]]]:
    """Files whose format cannot refer to VERSION. Group 2 of the pattern is the version."""
    yield root / "deploy/helm/undertone/Chart.yaml", _CHART
    for dockerfile in sorted((root / "docker").glob("*/Dockerfile")):
        yield dockerfile, _LABEL
    for document in [
        root / "README.md",
        *sorted((root / "docs").rglob("*.md")),
        *sorted((root / "services").glob("*/README.md")),
    ]:
        yield document, _REFERENCE


def _checked(version: str) -> str:
    if not _VERSION.fullmatch(version):
        raise ReleaseError(f"'{version}' is not a version: use X.Y.Z, or X.Y.ZrcN for a pre-release.")
    return version
