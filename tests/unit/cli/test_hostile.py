"""Inputs, disks and services as nobody wishes them: each ends in a clear message, a documented exit code and a safe state."""

import json
import resource
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from undertone_cli.__main__ import undertone
from undertone_cli.readers import ReadOptions, find_inputs, formats, read_ahead
from undertone_cli.readers.read_ahead import MAX_WEIGHT
from undertone_cli.run_folder import RunFolder
from undertone_client.jobs import InputError
from undertone_client.testing import FakeClassifier

Command = Callable[..., Result]
MEGABYTES_10 = "word " * 2_000_000


@pytest.fixture
def command(hosted: FakeClassifier) -> Command:
    def call(*arguments: object) -> Result:
        line = [str(argument) for argument in arguments]
        result = CliRunner().invoke(undertone, line, env={"UNDERTONE_TARGET": hosted.target, "COLUMNS": "200"})
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return call


def written(path: Path, texts: list[str | None]) -> Path:
    """The texts in the form that the suffix says."""
    match path.suffix:
        case ".txt":
            path.write_text("\n\n".join(str(text) for text in texts))
        case ".jsonl":
            path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        case ".csv":
            path.write_text("text\n" + "".join(f'"{text}"\n' for text in texts))
        case ".parquet":
            pq.write_table(pa.table({"text": pa.array(texts, pa.string())}), path)
    return path


def content(out: Path) -> dict[str, list[dict[str, Any]]]:
    parts = {path.name: pq.read_table(path).to_pylist() for path in RunFolder(out).parts()}
    return {name: [{**row, "scored_at": None} for row in rows] for name, rows in parts.items()}


def letters(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "failures.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("suffix", [".txt", ".jsonl", ".csv", ".parquet"])
def test_inputs_without_a_paragraph_are_a_table_without_rows(command: Command, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / "out"
    assert command("score", written(tmp_path / f"a{suffix}", []), "--out", out).exit_code == 0
    assert content(out) == {"part-00000.parquet": []}
    assert json.loads((out / "run.json").read_text())["complete"] is True
    assert command("replay", out).exit_code == 0
    result = command("report", out)
    assert (result.exit_code, "contains no scores" in result.output) == (2, True)


@pytest.mark.parametrize("suffix", [".txt", ".jsonl", ".csv", ".parquet"])
def test_a_paragraph_of_ten_megabytes_is_a_dead_letter_and_its_neighbours_are_scored(
    command: Command, hosted: FakeClassifier, tmp_path: Path, suffix: str
) -> None:
    out = tmp_path / "out"
    path = written(tmp_path / f"a{suffix}", ["Before.", MEGABYTES_10.strip(), "After."])
    assert command("score", path, "--out", out).exit_code == 1
    assert [row["id"] for row in content(out)["part-00000.parquet"]] == ["a/0000", "a/0002"]
    (letter,) = letters(out)
    assert (letter["status"], letter["attempts"]) == ("INVALID_ARGUMENT", 0)
    assert letter["reason"] == "9999999 bytes of text, the service accepts 262144"
    assert sorted(hosted.paragraphs()) == ["After.", "Before."]
    assert "word word" not in (out / "failures.jsonl").read_text()


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.txt", b"fine\n\nna\xefve\n", "a.txt, line 3: byte 0xef is not UTF-8"),
        ("a.csv", b"", "a.csv is empty; a CSV file starts with a line of column names"),
        ("a.parquet", b"", "a.parquet cannot be read as Parquet"),
        ("a.csv", b"body\nx\n", "no column 'text'; the columns are: 'body'"),
    ],
)
def test_what_cannot_be_read_leaves_nothing_behind(
    command: Command, hosted: FakeClassifier, tmp_path: Path, name: str, data: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(data)
    result = command("score", tmp_path / name, "--out", tmp_path / "out")
    assert (result.exit_code, message in " ".join(result.output.split())) == (2, True), result.output
    assert not (tmp_path / "out").exists()
    assert hosted.calls == []


def test_a_column_of_nothing_but_nulls(command: Command, tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": pa.nulls(3)}), tmp_path / "a.parquet")
    assert command("score", tmp_path / "a.parquet", "--out", tmp_path / "out").exit_code == 1
    assert [letter["reason"] for letter in letters(tmp_path / "out")] == ["the text is null"] * 3


@contextmanager
def small_files(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_ends_the_run_and_harms_nothing(command: Command, tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", [f"Paragraph {index}." for index in range(300)])
    torn, options = tmp_path / "torn", ("--rows-per-part", 100, "--limit", 1)
    with small_files(9000):  # the first part of so many rows is larger
        result = command("score", path, "--out", torn, *options)
    assert (result.exit_code, "free some space, then run the same command again" in result.output) == (2, True), result.output
    assert json.loads((torn / "run.json").read_text())["complete"] is False
    assert list(torn.rglob(".*.aside")) == []
    assert all(pq.read_metadata(part).num_rows for part in RunFolder(torn).parts())
    assert command("score", path, "--out", torn, *options).exit_code == 0
    assert command("score", path, "--out", tmp_path / "whole", *options).exit_code == 0
    assert content(torn) == content(tmp_path / "whole")


def test_a_disk_too_full_for_the_ids(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"key": f"{index:0>1000}", "text": "x"}) + "\n" for index in range(6000)))
    with small_files(1_000_000):
        result = CliRunner().invoke(undertone, ["score", str(path), "--id-column", "key", "--out", str(tmp_path / "out")])
    assert (result.exit_code, "SQLITE_TMPDIR" in result.output) == (2, True), result.output


def test_a_folder_is_left_as_it_is_when_it_cannot_be_continued(
    command: Command, hosted: FakeClassifier, tmp_path: Path
) -> None:
    path, out = written(tmp_path / "a.jsonl", ["One.", None]), tmp_path / "out"
    command("score", path, "--out", out)
    before = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    gone = command("score", path, "--out", out, "--target", "127.0.0.1:1")
    assert (gone.exit_code, "127.0.0.1:1 does not answer" in gone.output) == (3, True)
    hosted.version = 2
    other = command("score", path, "--out", out)
    assert (other.exit_code, "model: the folder has fake version 1 fp32, this command has fake" in other.output) == (2, True)
    assert {file: file.read_bytes() for file in out.rglob("*") if file.is_file()} == before


def test_a_file_without_an_end_of_line_or_paragraph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "MAX_LINE_BYTES", 1000)
    monkeypatch.setattr(formats, "MAX_PARAGRAPH_CHARACTERS", 1000)
    (tmp_path / "a.jsonl").write_text('{"text": "' + "x" * 2000)
    with pytest.raises(InputError, match=r"line 1: longer than 1000 bytes"):
        list(find_inputs([str(tmp_path / "a.jsonl")], ReadOptions()).paragraphs())
    (tmp_path / "a.txt").write_text("short\n\n" + "line\n" * 300)
    with pytest.raises(InputError, match=r"line 3: the paragraph is longer than 1000 characters.*blank lines"):
        list(find_inputs([str(tmp_path / "a.txt")], ReadOptions()).paragraphs())


@pytest.mark.parametrize("suffix", [".txt", ".jsonl", ".csv"])
def test_files_are_read_in_constant_memory(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path / f"a{suffix}", [f"{index} " + "x" * 1000 for index in range(4000)])
    tracemalloc.start()
    try:
        assert sum(1 for _ in find_inputs([str(path)], ReadOptions()).paragraphs()) == 4000
        assert tracemalloc.get_traced_memory()[1] < 600_000 < path.stat().st_size / 6
    finally:
        tracemalloc.stop()


def test_a_row_group_of_parquet_is_not_held_as_a_whole(tmp_path: Path) -> None:
    texts = pa.array([f"{index} " + "x" * 10_000 for index in range(6000)])
    pq.write_table(
        pa.table({"text": texts}), tmp_path / "a.parquet", compression="none", use_dictionary=False, row_group_size=6000
    )
    assert pq.read_metadata(tmp_path / "a.parquet").num_row_groups == 1
    before = pa.default_memory_pool()
    pool = pa.proxy_memory_pool(before)
    pa.set_memory_pool(pool)
    try:
        assert sum(1 for _ in find_inputs([str(tmp_path / "a.parquet")], ReadOptions()).paragraphs()) == 6000
    finally:
        pa.set_memory_pool(before)
    assert 0 < pool.max_memory() < 30_000_000 < (tmp_path / "a.parquet").stat().st_size / 2 + 1


async def test_long_texts_are_not_read_far_ahead() -> None:
    taken = 0

    def source() -> Iterator[str]:
        nonlocal taken
        for _ in range(50):
            taken += 1
            yield "x" * (MAX_WEIGHT // 2)

    async with read_ahead(source(), len) as items:
        for number in range(1, 51):
            await anext(items)
            assert taken - number <= 6
