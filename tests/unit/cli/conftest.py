"""The command in this process, and run folders with made-up scores."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from undertone_cli.__main__ import undertone
from undertone_client.testing import FakeClassifier

from tests.unit.support.command import Command
from tests.unit.support.scored_folder import LABELS, Point, ScoredFolder


@pytest.fixture(autouse=True)
def _score_short_paragraphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most tests have short texts."""
    monkeypatch.setenv("UNDERTONE_MIN_CHARACTERS", "0")


@pytest.fixture(autouse=True)
def _no_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The configuration of the user has no effect on tests."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "configuration"))


@pytest.fixture
def command(threaded_service: FakeClassifier) -> Command:
    def run(*arguments: object, stdin: bytes | None = None, **environment: str) -> Result:
        variables = {"UNDERTONE_TARGET": threaded_service.target, "COLUMNS": "200", **environment}
        result = CliRunner().invoke(undertone, [str(argument) for argument in arguments], input=stdin, env=variables)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return run


@pytest.fixture
def story(tmp_path: Path) -> Path:
    path = tmp_path / "story.txt"
    path.write_text("\n\n".join(f"Paragraph number {index}." for index in range(9)))
    return path


@pytest.fixture
def scored(tmp_path: Path) -> ScoredFolder:
    return ScoredFolder(tmp_path / "scored")


@pytest.fixture
def point() -> Point:
    """Makes a distribution that is highest at one label."""

    def make(label: str, probability: float = 0.8, *, labels: Sequence[str] = LABELS) -> list[float]:
        rest = (1 - probability) / (len(labels) - 1)
        return [probability if name == label else rest for name in labels]

    return make


@pytest.fixture
def folder(scored: ScoredFolder, point: Point) -> Path:
    """A run folder with two paragraphs of one story."""
    scored.add("a", point("joy"))
    scored.add("a", point("fear"))
    return scored.write()
