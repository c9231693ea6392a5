"""The lists of the workspace's members."""

import shutil
from pathlib import Path

import pytest

from release.distributions import read_members
from release.workspace import check_workspace

ROOT = Path(__file__).parents[2]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The files of the repository that list members."""
    for file in [
        ROOT / "pyproject.toml",
        ROOT / "Makefile",
        *(ROOT / member.folder / "pyproject.toml" for member in read_members(ROOT)),
    ]:
        target = tmp_path / file.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    return tmp_path


def test_all_lists_agree() -> None:
    assert check_workspace(ROOT) == []


def test_a_member_that_mypy_does_not_know_is_a_problem(copy: Path) -> None:
    project = copy / "services/new/pyproject.toml"
    project.parent.mkdir()
    project.write_text('[project]\nname = "undertone-new"\ndependencies = []\n')
    (problem,) = check_workspace(copy)
    assert "mypy_path" in problem


def test_a_makefile_with_other_members_is_a_problem(copy: Path) -> None:
    makefile = copy / "Makefile"
    makefile.write_text(makefile.read_text().replace("PACKAGES := protos", "PACKAGES := other"))
    (problem,) = check_workspace(copy)
    assert "Makefile" in problem


def test_members_come_after_their_dependencies() -> None:
    names = [member.name for member in read_members(ROOT)]
    assert names.index("undertone-protos") < names.index("undertone-client") < names.index("undertone")
    assert [member.name for member in read_members(ROOT) if not member.published] == ["undertone-bench"]
