"""The version in VERSION and its copies."""

import shutil
from pathlib import Path

import pytest

from release.distributions import read_members
from release.errors import ReleaseError
from release.version import check_copies, read_version, semantic_version, write_version

ROOT = Path(__file__).parents[2]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The files of the repository that have the version."""
    for name in ("VERSION", "deploy/helm/undertone/Chart.yaml", "README.md", *docker_files()):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def docker_files() -> list[str]:
    return [str(file.relative_to(ROOT)) for file in (ROOT / "docker").glob("*/Dockerfile")]


def test_the_repository_has_one_version() -> None:
    assert check_copies(ROOT) == []


def test_no_other_file_states_the_version() -> None:
    for member in read_members(ROOT):
        assert "\nversion = " not in (ROOT / member.folder / "pyproject.toml").read_text()


def test_bump_writes_every_copy(copy: Path) -> None:
    write_version(copy, "12.3.4rc5")
    assert read_version(copy) == "12.3.4rc5"
    assert check_copies(copy) == []
    chart = (copy / "deploy/helm/undertone/Chart.yaml").read_text()
    assert "\nversion: 12.3.4-rc5\nappVersion: 12.3.4-rc5\n" in chart
    assert "\nARG VERSION=12.3.4-rc5\n" in (copy / docker_files()[0]).read_text()


def test_bump_writes_the_references_in_documents(copy: Path) -> None:
    readme = copy / "README.md"
    readme.write_text(
        "Run ghcr.io/undertone/batch:0.0.1-rc1 or helm install oci://ghcr.io/undertone/charts/undertone --version 0.0.2.\n"
    )
    write_version(copy, "12.3.4")
    assert readme.read_text() == (
        "Run ghcr.io/undertone/batch:12.3.4 or helm install oci://ghcr.io/undertone/charts/undertone --version 12.3.4.\n"
    )


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        (
            "deploy/helm/undertone/Chart.yaml",
            "version: 9.9.9\nappVersion: 9.9.9\n",
            "Chart.yaml has version 9.9.9; VERSION requires ",
        ),
        ("docker/sidecar/Dockerfile", "FROM scratch\n", "docker/sidecar/Dockerfile has version none; VERSION requires "),
        ("README.md", "ghcr.io/undertone/batch:9.9.9 --conf\n", "README.md has version 9.9.9; VERSION requires "),
    ],
)
def test_a_copy_that_differs_is_a_problem(copy: Path, file: str, text: str, problem: str) -> None:
    (copy / file).write_text(text)
    (found,) = check_copies(copy)
    assert problem in found
    assert "bump" in found


@pytest.mark.parametrize("version", ["1.2", "v1.2.3", "1.2.3.4", "1.2.3-rc1", ""])
def test_other_forms_are_refused(copy: Path, version: str) -> None:
    with pytest.raises(ReleaseError, match=r"use X\.Y\.Z"):
        write_version(copy, version)


def test_versions_of_charts_are_semantic() -> None:
    assert semantic_version("1.2.3") == "1.2.3"
    assert semantic_version("1.2.3a4") == "1.2.3-a4"
