"""`undertone score`."""

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from undertone_cli.__main__ import undertone
from undertone_cli.run_folder import RunFolder
from undertone_client.testing import FakeClassifier
from undertone_telemetry.jobs import JobReporter

from tests.unit.support.command import Command, read_failures, read_manifest, read_table, write_texts

NOWHERE = "127.0.0.1:1"


def test_run_writes_table_failures_and_manifest(command: Command, story: Path, tmp_path: Path) -> None:
    result = command("score", story, "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert "scored  9" in result.output
    table = pq.read_table(tmp_path / "out")
    assert table["id"].to_pylist() == [f"story/{index:04d}" for index in range(9)]
    assert table["document"].to_pylist() == ["story"] * 9
    run = json.loads((tmp_path / "out" / "_run.json").read_text())
    assert run["inputs"] == [str(story)]
    assert (run["bad_lines"], run["counts"]) == (0, {"scored": 9, "failed": 0, "kept": 0, "short": 0})
    assert (run["complete"], run["policy"], run["model"]["name"]) == (True, "chunk-mean", "fake")
    assert run["paragraphs_per_second"] > 0
    assert (tmp_path / "out" / "_failures.jsonl").read_text() == ""


def test_quiet_prints_nothing(command: Command, story: Path, tmp_path: Path) -> None:
    assert command("score", story, "--out", tmp_path / "out", "--quiet").output == ""


def test_failed_paragraphs_are_exit_code_1(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "fine"}\n{"text": null}\n{"text": "  "}\n')
    result = command("score", path, "--out", tmp_path / "out")
    assert (result.exit_code, "failed  2, see" in result.output) == (1, True)
    assert "; the same command retries them" in result.output
    reasons = [json.loads(line)["reason"] for line in (tmp_path / "out" / "_failures.jsonl").read_text().splitlines()]
    assert reasons == ["the text is null", "the text is empty"]


def test_second_run_keeps_scores_and_manifest(command: Command, story: Path, tmp_path: Path) -> None:
    command("score", story, "--out", tmp_path / "out")
    before = (tmp_path / "out" / "_run.json").read_bytes()
    result = command("score", story, "--out", tmp_path / "out")
    assert (result.exit_code, "scored  0, and 9 kept from an earlier run" in result.output) == (0, True)
    assert (tmp_path / "out" / "_run.json").read_bytes() == before


def test_different_run_in_the_same_folder_needs_overwrite(command: Command, story: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command("score", story, "--out", out)
    result = command("score", story, "--out", out, "--policy", "truncate")
    assert result.exit_code == 2
    assert "--policy: the folder has chunk-mean, this command has truncate" in result.output
    result = command("score", story, "--out", tmp_path / "out", "--keep", "text")
    assert "--keep: the folder has nothing, this command has text" in result.output
    assert "--overwrite" in result.output
    story.write_text("Another story.")
    result = command("score", story, "--out", out)
    assert (result.exit_code, f"inputs: the folder has {story} (" in result.output) == (2, True)
    assert command("score", story, "--out", out, "--overwrite").exit_code == 0
    assert pq.read_table(out).num_rows == 1


def test_file_is_the_same_input_by_another_path(
    command: Command, story: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command("score", story, "--out", tmp_path / "out")
    monkeypatch.chdir(tmp_path)
    assert command("score", "story.txt", "--out", "out").exit_code == 0


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        ("x", ("absent.txt",), "absent.txt does not exist"),
        ("x", ("empty",), "empty: there is no file to read"),
        ("x", ("*.csv",), "*.csv: there is no file to read"),
        ('{"a": 1}\n', ("in.jsonl",), "no column 'text'; the columns are: 'a'"),
        ("not json\n", ("in.jsonl",), "in.jsonl, line 1: not valid JSON in column 1"),
        ('{"id": 1, "text": "x"}\n' * 2, ("in.jsonl", "--id-column", "id"), "duplicate id 1"),
        ("x", ("in.jsonl", "--format", "xml"), "Invalid value for '--format'"),
        ("x", ("in.jsonl", "--batch-items", "0"), "Invalid value for '--batch-items'"),
        ("x", ("in.jsonl", "--limit", "foo"), "--limit 'foo' is invalid: use adaptive, aimd or a number."),
        ("x", ("in.jsonl", "--timeout", "nan"), "Invalid value for '--timeout'"),
        ("x", ("in.jsonl", "--timeout", "inf"), "timeout_seconds is inf; it must be more than 0, and finite"),
        ("x", ("in.jsonl", "--patience", "nan"), "Invalid value for '--patience'"),
        ("x", ("in.jsonl", "--checkpoint", "nan"), "Invalid value for '--checkpoint'"),
        ("x", (), "Missing argument"),
        ("x", ("in.jsonl", "in.jsonl"), "would both be the document 'in'"),
    ],
)
def test_invalid_inputs_are_reported_before_anything_is_sent(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, arguments: tuple[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.jsonl").write_text(content)
    (tmp_path / "empty").mkdir()
    result = command("score", *arguments, "--out", "out", "--target", NOWHERE)
    assert result.exit_code == 2
    assert message in result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("arguments", [(), ("--overwrite",)])
def test_a_folder_with_other_files_is_not_written_to(command: Command, story: Path, arguments: tuple[str]) -> None:
    result = command("score", story, "--out", story.parent, *arguments)
    assert result.exit_code == 2
    assert "contains story.txt, which is not of a run of `undertone score`: use a new or empty folder" in result.output
    assert list(story.parent.iterdir()) == [story]


@pytest.mark.parametrize("option", ["--text-column", "--id-column", "--document-column"])
def test_a_column_of_plain_text_is_refused(command: Command, story: Path, tmp_path: Path, option: str) -> None:
    result = command("score", story, "--out", tmp_path / "out", option, "body")
    assert (result.exit_code, f"{option} 'body': plain text has no columns; remove the option" in result.output) == (2, True)


@pytest.mark.parametrize("option", ["--no-quotes", "--delimiter=;"])
def test_options_of_csv_are_refused_without_csv(command: Command, story: Path, tmp_path: Path, option: str) -> None:
    result = command("score", story, "--out", tmp_path / "out", option)
    flag = option.replace("=;", " ';'")
    assert (result.exit_code, f"{flag}: no input is CSV or TSV; remove the option" in result.output) == (2, True)


def test_inputs_are_recorded_with_absolute_paths(
    command: Command, story: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command("score", "story.txt", "--out", "out").exit_code == 0
    assert read_manifest(tmp_path / "out")["inputs"] == [str(story)]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    texts = command("top", "joy", "../out", "--with-text", "--format", "csv").output
    assert texts.count("Paragraph number") == 9


def test_unwritable_output(command: Command, story: Path) -> None:
    result = command("score", story, "--out", story / "out")
    assert (result.exit_code, "cannot be written" in result.output) == (2, True)
    assert "is a file" in command("score", story, "--out", story).output
    result = command("score", story, "--out", "/proc/undertone")
    assert (result.exit_code, "cannot be written" in result.output) == (2, True)


MEGABYTES_10 = "word " * 2_000_000


@pytest.mark.parametrize("suffix", [".txt", ".jsonl", ".csv", ".parquet"])
def test_empty_input_makes_an_empty_table(command: Command, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / "out"
    result = command("score", write_texts(tmp_path / f"a{suffix}", []), "--out", out)
    assert (result.exit_code, "The inputs contain no paragraph" in result.output) == (0, True)
    assert read_table(out) == {"part-00000.parquet": []}
    assert json.loads((out / "_run.json").read_text())["complete"] is True
    assert command("replay", out).exit_code == 0
    result = command("report", out)
    assert (result.exit_code, "contains no scores" in result.output) == (2, True)


@pytest.mark.parametrize("suffix", [".txt", ".jsonl", ".csv", ".parquet"])
def test_paragraph_of_ten_megabytes_is_a_dead_letter(
    command: Command, threaded_service: FakeClassifier, tmp_path: Path, suffix: str
) -> None:
    out = tmp_path / "out"
    path = write_texts(tmp_path / f"a{suffix}", ["Before.", MEGABYTES_10.strip(), "After."])
    assert command("score", path, "--out", out).exit_code == 1
    assert [row["id"] for row in read_table(out)["part-00000.parquet"]] == ["a/0000", "a/0002"]
    (failure,) = read_failures(out)
    assert (failure["status"], failure["attempts"]) == ("INVALID_ARGUMENT", 0)
    assert failure["reason"] == "text has 9999999 bytes in UTF-8; the limit is 262144: split it into paragraphs"
    assert sorted(threaded_service.paragraphs()) == ["After.", "Before."]
    assert "word word" not in (out / "_failures.jsonl").read_text()


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.txt", b"fine\n\nna\xefve\n", "a.txt, line 3: byte 0xef is not UTF-8"),
        ("a.csv", b"", "a.csv is empty; a CSV or TSV file starts with a line of column names"),
        ("a.parquet", b"", "a.parquet cannot be read as Parquet"),
        ("a.csv", b"body\nx\n", "no column 'text'; the columns are: 'body'"),
    ],
)
def test_unreadable_input_creates_no_folder(
    command: Command, threaded_service: FakeClassifier, tmp_path: Path, name: str, data: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(data)
    result = command("score", tmp_path / name, "--out", tmp_path / "out")
    assert (result.exit_code, message in " ".join(result.output.split())) == (2, True), result.output
    assert not (tmp_path / "out").exists()
    assert threaded_service.calls == []


def test_column_of_nulls(command: Command, tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": pa.nulls(3)}), tmp_path / "a.parquet")
    assert command("score", tmp_path / "a.parquet", "--out", tmp_path / "out").exit_code == 1
    assert [failure["reason"] for failure in read_failures(tmp_path / "out")] == ["the text is null"] * 3


@contextmanager
def small_files(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_run_continues_after_a_full_disk(command: Command, tmp_path: Path) -> None:
    path = write_texts(tmp_path / "a.jsonl", [f"Paragraph {index}." for index in range(300)])
    interrupted, options = tmp_path / "interrupted", ("--rows-per-part", 100, "--limit", 1)
    with small_files(9000):  # the first part of so many rows is larger
        result = command("score", path, "--out", interrupted, *options)
    assert (result.exit_code, "free some space, then run the same command again" in result.output) == (2, True), result.output
    assert json.loads((interrupted / "_run.json").read_text())["complete"] is False
    assert list(interrupted.rglob(".*.aside")) == []
    assert all(pq.read_metadata(part).num_rows for part in RunFolder(interrupted).parts())
    assert command("score", path, "--out", interrupted, *options).exit_code == 0
    assert command("score", path, "--out", tmp_path / "uninterrupted", *options).exit_code == 0
    assert read_table(interrupted) == read_table(tmp_path / "uninterrupted")


def test_full_disk_for_temporary_files(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"key": f"{index:0>1000}", "text": "x"}) + "\n" for index in range(6000)))
    with small_files(1_000_000):
        result = CliRunner().invoke(undertone, ["score", str(path), "--id-column", "key", "--out", str(tmp_path / "out")])
    assert (result.exit_code, "SQLITE_TMPDIR" in result.output) == (2, True), result.output


def test_folder_is_unchanged_if_the_run_cannot_continue(
    command: Command, threaded_service: FakeClassifier, tmp_path: Path
) -> None:
    path, out = write_texts(tmp_path / "a.jsonl", ["One.", None]), tmp_path / "out"
    command("score", path, "--out", out)
    before = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    gone = command("score", path, "--out", out, "--target", "127.0.0.1:1", "--patience", 0)
    assert (gone.exit_code, "127.0.0.1:1 does not answer" in gone.output) == (3, True)
    threaded_service.version = 2
    other = command("score", path, "--out", out)
    assert (other.exit_code, "model: the folder has fake version 1 fp32, this command has fake" in other.output) == (2, True)
    assert {file: file.read_bytes() for file in out.rglob("*") if file.is_file()} == before


def test_a_late_run_says_so_once_on_the_terminal_or_in_the_log(
    command: Command, story: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings = iter(["at 1.0 paragraphs/s", None])
    monkeypatch.setattr(JobReporter, "report_progress", lambda *_, **__: next(warnings, None))
    result = command("score", story, "--out", tmp_path / "scores", "--finish-by", "1h")
    assert result.exit_code == 0
    assert result.stderr.count("The job will be late: at 1.0 paragraphs/s") == 1
    # The reporter logs the warning itself.
    warnings = iter(["at 1.0 paragraphs/s"])
    monkeypatch.setattr(JobReporter, "report_progress", lambda *_, **__: next(warnings, None))
    result = command("score", story, "--out", tmp_path / "again", "--finish-by", "1h", "--log-format", "json")
    assert "The job will be late" not in result.output
