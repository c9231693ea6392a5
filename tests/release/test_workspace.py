"""The uv workspace, and the files that must agree with it."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from release.distributions import Member, read_members
from release.workspace import check_lock, check_workspace

ROOT = Path(__file__).parents[2]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The files of the repository that list members and their requirements."""
    for file in [
        ROOT / "pyproject.toml",
        ROOT / "Makefile",
        ROOT / "requirements.lock",
        *(ROOT / "tests/integration/schedules").glob("*.lock"),
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


def test_the_lock_satisfies_every_requirement() -> None:
    assert check_lock(ROOT) == []


@pytest.mark.parametrize("requirement", ["grpcio>=99", "not-locked", "numpy==1.0"])
def test_a_requirement_that_the_lock_does_not_satisfy_is_a_problem(copy: Path, requirement: str) -> None:
    project = copy / "protos/pyproject.toml"
    project.write_text(project.read_text().replace("dependencies = [", f'dependencies = ["{requirement}",'))
    (problem,) = check_lock(copy)
    assert "protos/pyproject.toml accepts: run 'make lock'" in problem


def test_pre_commit_runs_the_commands_of_make_check() -> None:
    """A commit runs only those commands whose files it changes."""
    command = ["make", "--dry-run", "--assume-old=.venv/ready", "check"]
    # Without the variables of `make test`, which would make this a sub-make with other output.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [hook["entry"] for hook in repository["hooks"]] == done.stdout.splitlines()


def test_members_come_after_their_dependencies() -> None:
    names = [member.name for member in read_members(ROOT)]
    assert names.index("undertone-protos") < names.index("undertone-client") < names.index("undertone")
    assert [member.name for member in read_members(ROOT) if not member.published] == ["undertone-bench"]


@pytest.mark.parametrize(
    "member", [member for member in read_members(ROOT) if member.published], ids=lambda member: member.name
)
def test_links_of_readmes_work_on_a_package_index(member: Member) -> None:
    """Links to the repository are absolute, and their targets exist."""
    readme = (ROOT / member.folder / "README.md").read_text()
    links = re.findall(r"\]\(([^)\s]+)\)", readme)
    assert [link for link in links if not link.startswith("https://")] == []
    files = re.findall(r"https://github\.com/undertone/undertone/(?:blob|tree)/main/([^)#\s]+)", readme)
    assert [file for file in files if not (ROOT / file).exists()] == []
