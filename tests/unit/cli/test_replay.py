"""`undertone replay`: dead letters once more, into the place where they belong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from undertone_cli.__main__ import undertone
from undertone_cli.run_folder import RunFolder
from undertone_client.testing import FakeClassifier, ItemFault

Command = Callable[..., Result]
SMALL = ("--rows-per-part", 4)
PARAGRAPHS = 22
POISONED = (1, 2, 9, 21)


@pytest.fixture
def command(hosted: FakeClassifier) -> Command:
    def call(*arguments: object) -> Result:
        line = [str(argument) for argument in arguments]
        environment = {
            "UNDERTONE_TARGET": hosted.target,
            "COLUMNS": "200",
            "UNDERTONE_LIMIT": "2",
            "UNDERTONE_BATCH_ITEMS": "2",
        }
        result = CliRunner().invoke(undertone, line, env=environment)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return call


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"key": f"k{index}", "text": f"Text {index}."}) + "\n" for index in range(PARAGRAPHS)))
    return path


@pytest.fixture
def torn(command: Command, hosted: FakeClassifier, rows: Path, tmp_path: Path) -> Path:
    """A complete run that has left four dead letters, in three of its six parts."""
    hosted.item_faults = {f"Text {index}.": ItemFault(grpc.StatusCode.INTERNAL, "broken") for index in POISONED}
    out = tmp_path / "torn"
    assert command("score", rows, "--id-column", "key", "--out", out, *SMALL).exit_code == 1
    assert [letter["id"] for letter in letters(out)] == [f"k{index}" for index in POISONED]
    hosted.calls.clear()
    return out


def letters(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "failures.jsonl").read_text().splitlines()]


def table(out: Path) -> dict[str, list[dict[str, Any]]]:
    parts = {path.name: pq.read_table(path).to_pylist() for path in RunFolder(out).parts()}
    return {name: [{**row, "scored_at": None} for row in rows] for name, rows in parts.items()}


def manifest(out: Path) -> dict[str, Any]:
    document = json.loads((out / "run.json").read_text())
    assert isinstance(document, dict)
    return document


def test_only_the_dead_letters_are_sent_and_the_table_becomes_whole(
    command: Command, hosted: FakeClassifier, rows: Path, torn: Path, tmp_path: Path
) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in RunFolder(torn).parts()}
    hosted.item_faults = {}
    result = command("replay", torn)
    assert (result.exit_code, "scored  4" in result.output) == (0, True)
    assert sorted(hosted.paragraphs()) == sorted(f"Text {index}." for index in POISONED)
    assert letters(torn) == []
    changed = {path.name for path in RunFolder(torn).parts() if path.stat().st_mtime_ns != before[path.name]}
    assert changed == {"part-00000.parquet", "part-00002.parquet", "part-00005.parquet"}

    assert command("score", rows, "--id-column", "key", "--out", tmp_path / "whole", *SMALL).exit_code == 0
    assert table(torn) == table(tmp_path / "whole")
    mine, theirs = manifest(torn), manifest(tmp_path / "whole")
    assert (mine["complete"], mine["tokens"], mine["shards"]) == (True, theirs["tokens"], theirs["shards"])
    assert (mine["counts"]["scored"], mine["counts"]["failed"]) == (PARAGRAPHS, 0)
    assert mine["calls"]["attempts"]["OK"] > theirs["calls"]["attempts"]["OK"]


def test_a_replay_of_nothing_changes_nothing(command: Command, hosted: FakeClassifier, torn: Path) -> None:
    hosted.item_faults = {}
    command("replay", torn)
    hosted.calls.clear()
    before = (torn / "run.json").read_bytes(), table(torn)
    result = command("replay", torn)
    assert (result.exit_code, "every paragraph has a score" in result.output) == (0, True)
    assert ((torn / "run.json").read_bytes(), table(torn)) == before
    assert hosted.calls == []


def test_what_fails_again_stays_with_its_new_reason(command: Command, hosted: FakeClassifier, torn: Path) -> None:
    hosted.item_faults = {"Text 9.": ItemFault(grpc.StatusCode.OUT_OF_RANGE, "still broken")}
    assert command("replay", torn).exit_code == 1
    (letter,) = letters(torn)
    assert (letter["id"], letter["status"], letter["reason"]) == ("k9", "OUT_OF_RANGE", "still broken")
    assert manifest(torn)["counts"] == {"scored": 21, "failed": 1, "kept": 0}
    hosted.item_faults = {}
    assert command("replay", torn).exit_code == 0
    assert sum(map(len, table(torn).values())) == PARAGRAPHS


def test_a_text_that_has_changed_is_not_sent(command: Command, hosted: FakeClassifier, rows: Path, torn: Path) -> None:
    hosted.item_faults = {}
    rows.write_text(rows.read_text().replace("Text 9.", "Another."))
    result = command("replay", torn)
    assert (result.exit_code, "not scored, because their text has changed: 1" in result.output) == (1, True)
    assert sorted(hosted.paragraphs()) == ["Text 1.", "Text 2.", "Text 21."]
    assert [(letter["id"], letter["reason"]) for letter in letters(torn)] == [("k9", "broken")]


def test_a_replay_whose_end_was_never_written_is_given_again(command: Command, hosted: FakeClassifier, torn: Path) -> None:
    hosted.item_faults = {}
    stale = {name: (torn / name).read_bytes() for name in ("run.json", "failures.jsonl")}
    command("replay", torn)
    whole = table(torn)
    for name, content in stale.items():  # as after a kill between the last part and the manifest
        (torn / name).write_bytes(content)
    hosted.calls.clear()
    assert command("replay", torn).exit_code == 0
    assert hosted.paragraphs() == []
    assert (letters(torn), table(torn), manifest(torn)["counts"]["failed"]) == ([], whole, 0)


def test_rows_that_moved_are_noticed(command: Command, rows: Path, torn: Path) -> None:
    rows.write_text("".join(rows.read_text().splitlines(keepends=True)[1:]))
    before = table(torn)
    result = command("replay", torn)
    assert (result.exit_code, "the input has changed" in result.output) == (2, True)
    assert table(torn) == before
    assert len(letters(torn)) == len(POISONED)


@pytest.mark.parametrize(
    ("spoil", "code", "message"),
    [
        (lambda rows, out: rows.unlink(), 2, "does not exist any more"),
        (lambda rows, out: (out / "run.json").unlink(), 2, "contains scores but no run.json"),
        (lambda rows, out: (out / "failures.jsonl").write_text("{}\n"), 2, "failures.jsonl, line 1: not a failure record"),
        (lambda rows, out: (out / "failures.jsonl").write_text(""), 2, "neither a score nor a line in failures.jsonl"),
    ],
)
def test_a_folder_that_cannot_be_replayed(
    command: Command, rows: Path, torn: Path, spoil: Callable[[Path, Path], None], code: int, message: str
) -> None:
    spoil(rows, torn)
    before = table(torn)
    result = command("replay", torn)
    assert (result.exit_code, message in " ".join(result.output.split())) == (code, True), result.output
    assert table(torn) == before


def test_another_model_is_refused(command: Command, hosted: FakeClassifier, torn: Path) -> None:
    hosted.version = 2
    result = command("replay", torn)
    assert (result.exit_code, "contains scores of fake version 1 fp32" in result.output) == (2, True)
    assert "serves fake version 2 fp32" in result.output
    assert hosted.paragraphs() == []


def test_a_run_that_is_not_complete_is_continued_instead(command: Command, torn: Path) -> None:
    path = torn / "run.json"
    path.write_text(path.read_text().replace('"complete": true,\n  "calls"', '"complete": false,\n  "calls"'))
    result = command("replay", torn)
    assert (result.exit_code, "is not complete" in result.output) == (2, True)


def test_a_folder_of_something_else(command: Command, tmp_path: Path) -> None:
    result = command("replay", tmp_path)
    assert (result.exit_code, "has no run.json" in result.output) == (2, True)
    assert command("replay", tmp_path / "absent").exit_code == 2


def test_standard_input_cannot_be_replayed(command: Command, hosted: FakeClassifier, tmp_path: Path) -> None:
    hosted.item_faults = {"One.": ItemFault(grpc.StatusCode.INTERNAL)}
    fifo = tmp_path / "one.txt"
    fifo.write_text("One.")
    out = tmp_path / "out"
    assert command("score", fifo, "--out", out).exit_code == 1
    run = (out / "run.json").read_text()
    (out / "run.json").write_text(run.replace(f'"name": "{fifo}"', '"name": "-"'))
    result = command("replay", out)
    assert (result.exit_code, "standard input can be read only once" in result.output) == (2, True)
