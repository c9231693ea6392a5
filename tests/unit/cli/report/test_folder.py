"""Folders that cannot be shown are refused with a message that says what to do; the command passes it on."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from undertone_cli.commands.report import report
from undertone_cli.report import write_report
from undertone_client.jobs import OutputError
from undertone_client.values import Model

from tests.unit.support.scored_folder import Point, ScoredFolder


@pytest.fixture
def folder(scored: ScoredFolder, point: Point) -> Path:
    scored.add("a", point("joy"))
    scored.add("a", point("fear"))
    return scored.write()


def refusal(folder: Path) -> str:
    with pytest.raises(OutputError) as caught:
        write_report(folder, folder / "report.html")
    assert not (folder / "report.html").exists()
    return str(caught.value)


def test_a_folder_that_no_run_wrote(tmp_path: Path) -> None:
    assert "has no run.json; name a folder that `undertone score --out` wrote" in refusal(tmp_path)


def test_a_damaged_manifest(folder: Path) -> None:
    (folder / "run.json").write_text("{", encoding="utf-8")
    assert "run.json is not a valid manifest" in refusal(folder)


def test_no_scores(scored: ScoredFolder) -> None:
    assert "contains no scores: no paragraph was scored" in refusal(scored.write())


def test_nothing_but_failures(scored: ScoredFolder) -> None:
    scored.fail("a/0000", "UNAVAILABLE", "nobody answers")
    assert "contains no scores: all 1 paragraphs failed; see failures.jsonl" in refusal(scored.write())


def test_scores_of_two_models(folder: Path, scored: ScoredFolder) -> None:
    scored.model = Model("emotions", 2, "bf16")
    scored.write(part=1)
    message = refusal(folder)
    assert "emotions 1 fp32 (chunk-mean), emotions 2 bf16 (chunk-mean)" in message
    assert "score each into its own folder" in message


def test_a_damaged_part(folder: Path) -> None:
    part = folder / "scores" / "part-00000.parquet"
    part.write_bytes(part.read_bytes()[:100])
    message = refusal(folder)
    assert str(part) in message
    assert "delete it and run the same `undertone score` again" in message


def test_a_part_without_an_emotion(folder: Path) -> None:
    part = folder / "scores" / "part-00000.parquet"
    pq.write_table(pq.read_table(part).drop_columns(["fear"]), part)
    assert f"the columns of {part} differ from run.json (fear)" in refusal(folder)


def test_a_score_that_is_no_number(scored: ScoredFolder, point: Point) -> None:
    scored.add("a", [float("nan"), *point("joy")[1:]])
    assert "the column 'joy' has missing or infinite values" in refusal(scored.write())


@pytest.mark.parametrize("line", ["[]", "{", '{"id": "a"}'])
def test_damaged_failures(scored: ScoredFolder, folder: Path, line: str) -> None:
    scored.fail("a/0002", "UNAVAILABLE", "nobody answers")
    scored.write()
    with (folder / "failures.jsonl").open("a", encoding="utf-8") as failures:
        failures.write(f"{line}\n")
    assert "failures.jsonl, line 2: not a failure record" in refusal(folder)


def test_the_command_writes_into_the_folder_and_says_where(folder: Path) -> None:
    result = CliRunner().invoke(report, [str(folder)])
    assert result.exit_code == 0
    assert result.output.strip() == str(folder / "report.html")
    assert (folder / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_command_writes_where_it_is_told(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "elsewhere.html"
    assert CliRunner().invoke(report, [str(folder), "--output", str(output), "--with-text"]).exit_code == 0
    assert "is missing" in output.read_text(encoding="utf-8")


def test_the_command_shows_no_traceback(folder: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(report, [str(folder), "--output", str(tmp_path / "no" / "such" / "page.html")])
    assert result.exit_code == 2
    assert "cannot be written" in result.output
    (folder / "run.json").unlink()
    result = CliRunner().invoke(report, [str(folder)])
    assert result.exit_code == 2
    assert result.output.startswith("Error: ")
    assert "Traceback" not in result.output
