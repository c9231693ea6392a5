"""`undertone replay`."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import grpc
import pytest
from undertone_cli.run_folder import RunFolder
from undertone_client.testing import FakeClassifier, ItemFault

from tests.unit.support.command import Command, read_failures, read_manifest, read_table

SMALL = ("--rows-per-part", 4)
PARAGRAPHS = 22
POISONED = (1, 2, 9, 21)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"key": f"k{index}", "text": f"Text {index}."}) + "\n" for index in range(PARAGRAPHS)))
    return path


@pytest.fixture
def failed_run(command: Command, threaded_service: FakeClassifier, rows: Path, tmp_path: Path) -> Path:
    """The folder of a complete run with four dead letters, in three of its six parts."""
    threaded_service.item_faults = {f"Text {index}.": ItemFault(grpc.StatusCode.INTERNAL, "broken") for index in POISONED}
    out = tmp_path / "interrupted"
    assert command("score", rows, "--id-column", "key", "--out", out, *SMALL).exit_code == 1
    assert [failure["id"] for failure in read_failures(out)] == [f"k{index}" for index in POISONED]
    threaded_service.calls.clear()
    return out


def test_only_dead_letters_are_sent_and_the_table_becomes_complete(
    command: Command, threaded_service: FakeClassifier, rows: Path, failed_run: Path, tmp_path: Path
) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in RunFolder(failed_run).parts()}
    threaded_service.item_faults = {}
    result = command("replay", failed_run)
    assert (result.exit_code, "scored  4" in result.output) == (0, True)
    assert sorted(threaded_service.paragraphs()) == sorted(f"Text {index}." for index in POISONED)
    assert read_failures(failed_run) == []
    changed = {path.name for path in RunFolder(failed_run).parts() if path.stat().st_mtime_ns != before[path.name]}
    assert changed == {"part-00000.parquet", "part-00002.parquet", "part-00005.parquet"}

    assert command("score", rows, "--id-column", "key", "--out", tmp_path / "uninterrupted", *SMALL).exit_code == 0
    assert read_table(failed_run) == read_table(tmp_path / "uninterrupted")
    mine, theirs = read_manifest(failed_run), read_manifest(tmp_path / "uninterrupted")
    assert (mine["complete"], mine["tokens"], mine["shards"]) == (True, theirs["tokens"], theirs["shards"])
    assert (mine["counts"]["scored"], mine["counts"]["failed"]) == (PARAGRAPHS, 0)
    assert mine["calls"]["attempts"]["OK"] > theirs["calls"]["attempts"]["OK"]


def test_replay_without_dead_letters_changes_nothing(
    command: Command, threaded_service: FakeClassifier, failed_run: Path
) -> None:
    threaded_service.item_faults = {}
    command("replay", failed_run)
    threaded_service.calls.clear()
    before = (failed_run / "_run.json").read_bytes(), read_table(failed_run)
    result = command("replay", failed_run)
    assert (result.exit_code, "every paragraph has a score" in result.output) == (0, True)
    assert ((failed_run / "_run.json").read_bytes(), read_table(failed_run)) == before
    assert threaded_service.calls == []


def test_repeated_failure_has_the_new_reason(command: Command, threaded_service: FakeClassifier, failed_run: Path) -> None:
    threaded_service.item_faults = {"Text 9.": ItemFault(grpc.StatusCode.OUT_OF_RANGE, "still broken")}
    assert command("replay", failed_run).exit_code == 1
    (failure,) = read_failures(failed_run)
    assert (failure["id"], failure["status"], failure["reason"]) == ("k9", "OUT_OF_RANGE", "still broken")
    assert read_manifest(failed_run)["counts"] == {"scored": 21, "failed": 1, "kept": 0, "short": 0}
    threaded_service.item_faults = {}
    assert command("replay", failed_run).exit_code == 0
    assert sum(map(len, read_table(failed_run).values())) == PARAGRAPHS


@pytest.mark.parametrize("rows_per_part", [4, 10_000])
@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [line for line in lines if "k9" not in line],
        lambda lines: [line for line in lines if "k21" not in line],
        lambda lines: [line.replace("Text 9.", "Another.") for line in lines],
        lambda lines: [*lines, '{"key": "new", "text": "New."}\n'],
        lambda lines: lines[::-1],
        lambda lines: [],
    ],
    ids=["row deleted", "last row deleted", "text changed", "row added", "order reversed", "emptied"],
)
def test_changed_input_is_refused_and_no_dead_letter_is_lost(
    command: Command,
    threaded_service: FakeClassifier,
    rows: Path,
    tmp_path: Path,
    change: Callable[[list[str]], list[str]],
    rows_per_part: int,
) -> None:
    threaded_service.item_faults = {f"Text {index}.": ItemFault(grpc.StatusCode.INTERNAL, "broken") for index in POISONED}
    out = tmp_path / "out"
    assert command("score", rows, "--id-column", "key", "--out", out, "--rows-per-part", rows_per_part).exit_code == 1
    threaded_service.item_faults = {}
    threaded_service.calls.clear()
    rows.write_text("".join(change(rows.read_text().splitlines(keepends=True))))
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    result = command("replay", out)
    output = " ".join(result.output.split())
    assert (result.exit_code, f"{rows} has changed since it was scored" in output) == (2, True), output
    assert "restore it, or score the changed inputs into another folder" in output
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert threaded_service.paragraphs() == []


def test_replay_killed_before_the_manifest_was_written_continues(
    command: Command, threaded_service: FakeClassifier, failed_run: Path
) -> None:
    threaded_service.item_faults = {}
    old_files = {name: (failed_run / name).read_bytes() for name in ("_run.json", "_failures.jsonl")}
    command("replay", failed_run)
    complete = read_table(failed_run)
    for name, content in old_files.items():  # as if killed between the last part and the manifest
        (failed_run / name).write_bytes(content)
    threaded_service.calls.clear()
    assert command("replay", failed_run).exit_code == 0
    assert threaded_service.paragraphs() == []
    assert (read_failures(failed_run), read_table(failed_run), read_manifest(failed_run)["counts"]["failed"]) == (
        [],
        complete,
        0,
    )


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda rows, out: rows.unlink(), "no longer exists"),
        (lambda rows, out: (out / "_run.json").unlink(), "contains scores but no _run.json"),
        (
            lambda rows, out: replace_text(out / "_run.json", '"complete": true,\n  "calls"', '"complete": false,\n  "calls"'),
            "is not complete",
        ),
        (
            lambda rows, out: replace_text(out / "_run.json", f'"name": "{rows}"', '"name": "-"'),
            "standard input can be read only once",
        ),
        (lambda rows, out: (out / "_failures.jsonl").write_text("{}\n"), "_failures.jsonl, line 1: not a failure record"),
        (lambda rows, out: (out / "_failures.jsonl").write_text(""), "neither a score nor a line in _failures.jsonl"),
        (
            lambda rows, out: replace_text(out / "_failures.jsonl", '"id": "k21"', '"id": "k99"'),
            "'k21' has neither a score nor a line in _failures.jsonl",
        ),
    ],
    ids=[
        "missing",
        "no manifest",
        "incomplete",
        "standard input",
        "invalid failure",
        "lost failures",
        "other failure",
    ],
)
def test_folders_that_cannot_be_replayed(
    command: Command, rows: Path, failed_run: Path, spoil: Callable[[Path, Path], None], message: str
) -> None:
    spoil(rows, failed_run)
    before = read_table(failed_run), (failed_run / "_failures.jsonl").read_bytes()
    result = command("replay", failed_run)
    assert (result.exit_code, message in " ".join(result.output.split())) == (2, True), result.output
    assert (read_table(failed_run), (failed_run / "_failures.jsonl").read_bytes()) == before


def test_dead_letter_without_paragraph_is_kept(command: Command, threaded_service: FakeClassifier, failed_run: Path) -> None:
    threaded_service.item_faults = {}
    path = failed_run / "_failures.jsonl"
    path.write_text(path.read_text() + json.dumps({**read_failures(failed_run)[-1], "id": "k99"}) + "\n")
    before = path.read_bytes()
    result = command("replay", failed_run)
    assert (result.exit_code, "names 'k99', which has no score" in " ".join(result.output.split())) == (2, True), result.output
    assert path.read_bytes() == before


def replace_text(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_different_model_is_an_error(command: Command, threaded_service: FakeClassifier, failed_run: Path) -> None:
    threaded_service.version = 2
    result = command("replay", failed_run)
    assert (result.exit_code, "contains scores of fake version 1 fp32" in result.output) == (2, True)
    assert "serves fake version 2 fp32; serve fake version 1 fp32" in " ".join(result.output.split())
    assert threaded_service.paragraphs() == []


def test_folder_without_a_run(command: Command, tmp_path: Path) -> None:
    result = command("replay", tmp_path, "--table", "emotions.reviews", "--warehouse", tmp_path / "lake")
    assert (result.exit_code, "has no _run.json" in result.output) == (2, True)
    assert not (tmp_path / "lake").exists()
    assert command("replay", tmp_path / "absent").exit_code == 2


def test_relative_paths_of_earlier_releases_are_read_in_the_current_folder(
    command: Command, rows: Path, failed_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_text(failed_run / "_run.json", f'"name": "{rows}"', f'"name": "{rows.name}"')
    monkeypatch.chdir(tmp_path.parent)
    hint = f" in {tmp_path.parent}; its path is relative: call this command where you scored it"
    result = command("replay", failed_run)
    assert (result.exit_code, f"{rows.name} no longer exists, or is not a regular file{hint}" in result.output) == (2, True)
    other = tmp_path / "other"
    other.mkdir()
    (other / rows.name).write_text("another file")
    monkeypatch.chdir(other)
    result = command("replay", failed_run)
    assert (result.exit_code, "has changed since it was scored" in result.output, "its path is relative" in result.output) == (
        2,
        True,
        True,
    )
    monkeypatch.chdir(rows.parent)
    assert command("replay", failed_run).exit_code == 1


def test_inputs_are_read_outside_the_event_loop_so_that_a_signal_ends_the_reading(
    command: Command, threaded_service: FakeClassifier, failed_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[bool] = []

    def check(sources: object, on_bytes: object) -> None:
        with suppress(RuntimeError):
            reads.append(asyncio.get_running_loop().is_running())
            return
        reads.append(False)

    monkeypatch.setattr("undertone_cli.scoring.run.check_unchanged", check)
    threaded_service.item_faults = {}
    assert command("replay", failed_run).exit_code == 0
    assert reads == [False]
