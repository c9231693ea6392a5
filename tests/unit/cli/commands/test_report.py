"""`undertone report`."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from undertone_cli.commands.report import report

from tests.unit.support.scored_folder import Point, ScoredFolder


@pytest.fixture
def folder(scored: ScoredFolder, point: Point) -> Path:
    scored.add("a", point("joy"))
    scored.add("a", point("fear"))
    return scored.write()


def test_default_output_is_in_the_folder(folder: Path) -> None:
    result = CliRunner().invoke(report, [str(folder)])
    assert result.exit_code == 0
    assert result.output.strip() == str(folder / "_report.html")
    assert (folder / "_report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_output_and_text_options(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "elsewhere.html"
    assert CliRunner().invoke(report, [str(folder), "--output", str(output), "--with-text"]).exit_code == 0
    assert "is missing" in output.read_text(encoding="utf-8")


def test_errors_have_no_traceback(folder: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(report, [str(folder), "--output", str(tmp_path / "no" / "such" / "page.html")])
    assert result.exit_code == 2
    assert "cannot be written" in result.output
    (folder / "_run.json").unlink()
    result = CliRunner().invoke(report, [str(folder)])
    assert result.exit_code == 2
    assert result.output.startswith("Error: ")
    assert "Traceback" not in result.output
