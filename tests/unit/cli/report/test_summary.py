"""Data of the report, and folders without valid data."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from undertone_cli.report import write_report
from undertone_cli.report.summary import LabelTotal, describe_totals
from undertone_client.jobs import OutputError
from undertone_client.values import Model

from tests.unit.support.scored_folder import Point, ScoredFolder


def test_description_of_totals() -> None:
    many = [LabelTotal("joy", 1, 0.1, 0.2), LabelTotal("fear", 5, 0.5, 0.4), LabelTotal("love", 4, 0.4, 0.4)]
    assert describe_totals(many) == "Fear leads in 50% of the paragraphs, followed by love (40%) and joy (10%)."
    one = [LabelTotal("joy", 3, 1.0, 0.9), LabelTotal("fear", 0, 0.0, 0.1)]
    assert describe_totals(one) == "Joy leads in 100% of the paragraphs."


def refusal(folder: Path) -> str:
    with pytest.raises(OutputError) as caught:
        write_report(folder, folder / "report.html")
    assert not (folder / "report.html").exists()
    return str(caught.value)


def test_folder_without_a_run(tmp_path: Path) -> None:
    assert "has no _run.json; name a folder that `undertone score --out` wrote" in refusal(tmp_path)


def test_damaged_manifest(folder: Path) -> None:
    (folder / "_run.json").write_text("{", encoding="utf-8")
    assert "_run.json is not a valid manifest" in refusal(folder)


def test_run_without_paragraphs_has_no_report(scored: ScoredFolder) -> None:
    assert "contains no scores: no paragraph was scored" in refusal(scored.write())


def test_run_with_failures_only(scored: ScoredFolder) -> None:
    scored.fail("a/0000", "UNAVAILABLE", "connection refused")
    assert "contains no scores: all 1 paragraphs failed; see _failures.jsonl" in refusal(scored.write())


def test_scores_of_two_models(folder: Path, scored: ScoredFolder) -> None:
    scored.model = Model("emotions", 2, "bf16")
    scored.write(part=1)
    message = refusal(folder)
    assert "emotions 1 fp32 (chunk-mean), emotions 2 bf16 (chunk-mean)" in message
    assert "score each into its own folder" in message


def test_damaged_part(folder: Path) -> None:
    part = folder / "part-00000.parquet"
    part.write_bytes(part.read_bytes()[:100])
    message = refusal(folder)
    assert str(part) in message
    assert "delete it and run the same `undertone score` again" in message


def test_missing_column(folder: Path) -> None:
    part = folder / "part-00000.parquet"
    pq.write_table(pq.read_table(part).drop_columns(["fear"]), part)
    assert f"the columns of {part} differ from _run.json (fear)" in refusal(folder)


def test_score_that_is_not_a_number(scored: ScoredFolder, point: Point) -> None:
    scored.add("a", [float("nan"), *point("joy")[1:]])
    assert "the column 'joy' has missing or infinite values" in refusal(scored.write())


@pytest.mark.parametrize("line", ["[]", "{", '{"id": "a"}'])
def test_damaged_failure_record(scored: ScoredFolder, folder: Path, line: str) -> None:
    scored.fail("a/0002", "UNAVAILABLE", "connection refused")
    scored.write()
    with (folder / "_failures.jsonl").open("a", encoding="utf-8") as failures:
        failures.write(f"{line}\n")
    assert "_failures.jsonl, line 2: not a failure record" in refusal(folder)
