"""`undertone report`."""

import errno
from pathlib import Path

import pytest
from click.testing import CliRunner
from undertone_cli.commands.report import report

from tests.unit.support.scored_folder import Point, ScoredFolder


def test_default_output_is_in_the_folder(folder: Path) -> None:
    result = CliRunner().invoke(report, [str(folder)])
    assert result.exit_code == 0
    assert result.output.strip() == str(folder / "_report.html")
    assert (folder / "_report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_flagged_paragraphs_are_counted_and_marked(scored: ScoredFolder, point: Point) -> None:
    for flags in ("", None, "language", "language,unreadable"):
        scored.add("a", point("joy"), flags=flags)
    folder = scored.write()
    assert CliRunner().invoke(report, [str(folder)]).exit_code == 0
    page = " ".join((folder / "_report.html").read_text(encoding="utf-8").split())
    assert "<dt>Not reliable</dt><dd>2</dd>" in page
    assert "in a language that the model was not made for (2) or not readable for the model (1). All figures" in page
    assert '<span class="flag">not reliable: in a language that the model was not made for</span>' in page


def test_output_and_text_options(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "elsewhere.html"
    assert CliRunner().invoke(report, [str(folder), "--output", str(output), "--with-text"]).exit_code == 0
    assert "is missing" in output.read_text(encoding="utf-8")


def test_chapters_and_comparison_options(folder: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(report, [str(folder), "--chapter-column", "document", "--compare", str(folder)])
    assert result.exit_code == 0, result.output
    assert "Compared with scored" in (folder / "_report.html").read_text(encoding="utf-8")
    result = CliRunner().invoke(report, [str(folder), "--chapter-column", "part"])
    assert (result.exit_code, "the run did not keep this column (it kept: none)" in result.output) == (2, True)
    result = CliRunner().invoke(report, [str(folder), "--compare", str(tmp_path)])
    assert (result.exit_code, "has no _run.json" in result.output) == (2, True)


def test_a_page_that_cannot_be_written_leaves_no_file(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("undertone_cli.run_folder.folder.os.fsync", full_disk)
    (tmp_path / "pages").mkdir()
    result = CliRunner().invoke(report, [str(folder), "--output", str(tmp_path / "pages" / "a.html")])
    assert (result.exit_code, "No space left on device" in result.output) == (2, True)
    assert list((tmp_path / "pages").iterdir()) == []


def test_errors_have_no_traceback(folder: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(report, [str(folder), "--output", str(tmp_path / "no" / "such" / "page.html")])
    assert result.exit_code == 2
    assert "cannot be written" in result.output
    (folder / "_run.json").unlink()
    result = CliRunner().invoke(report, [str(folder)])
    assert result.exit_code == 2
    assert result.output.startswith("Error: ")
    assert "Traceback" not in result.output
