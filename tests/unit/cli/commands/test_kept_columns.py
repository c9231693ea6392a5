"""`undertone score --keep`, the types of ids, and `--min-characters`."""

import datetime as dt
import json
import uuid
from pathlib import Path

import duckdb
import grpc
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from undertone_client.testing import FakeClassifier, ItemFault

from tests.unit.support.command import Command, piped, read_failures, read_manifest, read_table

NOON = dt.datetime(2025, 3, 5, 12, tzinfo=dt.UTC)
LONG = "A sufficiently long paragraph, number {}."


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.parquet"
    columns = {
        "key": pa.array(range(25)),
        "text": [LONG.format(index) for index in range(25)],
        "stars": pa.array([index % 5 if index % 7 else None for index in range(25)], pa.int8()),
        "at": pa.array([NOON] * 25, pa.timestamp("us", tz="UTC")),
        "unused": pa.array([1] * 25, pa.timestamp("ns")),
    }
    pq.write_table(pa.table(columns), path)
    return path


def score(command: Command, source: Path, out: Path, *more: object) -> tuple[int, str]:
    result = command("score", source, "--out", out, "--id-column", "key", "--rows-per-part", 10, *more)
    return result.exit_code, result.output


def test_ids_and_kept_columns_have_the_types_of_the_input(command: Command, reviews: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert score(command, reviews, out, "--keep", "stars", "--keep", "at")[0] == 0
    table = pq.read_table(out)
    assert table.schema.names[-2:] == ["stars", "at"]
    assert table.schema.field("id").type == pa.int64()
    source = pq.read_table(reviews)
    assert table["id"].to_pylist() == source["key"].to_pylist()
    assert table["stars"].to_pylist() == source["stars"].to_pylist()
    frame = pd.read_parquet(out)
    assert (frame["at"] == pd.Timestamp(NOON)).all()
    relation = duckdb.read_parquet(f"{out}/*.parquet").project('id, stars, "at"')
    assert list(map(str, relation.types)) == ["BIGINT", "INTEGER", "TIMESTAMP WITH TIME ZONE"]


def test_uuids_of_parquet_are_texts_in_the_folder(command: Command, tmp_path: Path) -> None:
    ids = [uuid.UUID(int=index + 1) for index in range(2)]
    texts = [LONG.format(index) for index in range(2)]
    pq.write_table(pa.table({"key": pa.array([each.bytes for each in ids], pa.uuid()), "text": texts}), tmp_path / "a.parquet")
    assert score(command, tmp_path / "a.parquet", tmp_path / "out")[0] == 0
    assert pd.read_parquet(tmp_path / "out")["id"].to_list() == list(map(str, ids))


def test_kept_columns_are_part_of_the_run(
    command: Command, threaded_service: FakeClassifier, reviews: Path, tmp_path: Path
) -> None:
    out, keep = tmp_path / "out", ("--keep", "stars")
    fault = ItemFault(grpc.StatusCode.INVALID_ARGUMENT, "no", times=1)
    threaded_service.item_faults = {LONG.format(3): fault, LONG.format(22): fault}
    assert score(command, reviews, out, *keep)[0] == 1
    assert [row["id"] for row in read_failures(out)] == [3, 22]
    for other in ((), ("--keep", "at"), ("--keep", "stars", "--keep", "at")):
        code, output = score(command, reviews, out, *other)
        assert (code, "keep: the folder has stars, this command has" in output) == (2, True)
    assert command("replay", out).exit_code == 0
    complete = read_table(out)
    assert [row["stars"] for rows in complete.values() for row in rows] == pq.read_table(reviews)["stars"].to_pylist()
    (out / "part-00001.parquet").unlink()
    assert score(command, reviews, out, *keep)[0] == 0
    assert read_table(out) == complete


@pytest.mark.parametrize("column", ["id", "ID", "joy", "deleted_at", "scored_at"])
def test_kept_column_with_a_name_of_the_table_is_refused(command: Command, tmp_path: Path, column: str) -> None:
    source = tmp_path / "a.jsonl"
    source.write_text(json.dumps({"text": LONG, "key": 1, column: "x"}) + "\n")
    code, output = score(command, source, tmp_path / "out", "--keep", column)
    assert (code, f"the input column {column!r} cannot be kept" in output) == (2, True), output
    code, output = score(command, source, tmp_path / "out", "--keep", "text", "--keep", "text")
    assert (code, "'text' is given twice" in output) == (2, True)


def test_texts_can_be_kept(command: Command, tmp_path: Path) -> None:
    source, out = tmp_path / "novel.txt", tmp_path / "out"
    texts = [LONG.format(index) for index in range(3)]
    source.write_text("\n\n".join(texts))
    assert command("score", source, "--out", out, "--keep", "text").exit_code == 0
    assert pd.read_parquet(out)["text"].tolist() == texts
    assert command("report", out, "--with-text").exit_code == 0
    assert texts[1] in (out / "_report.html").read_text()


def test_first_row_of_a_pipe_determines_the_types(command: Command, tmp_path: Path) -> None:
    def run(out: Path, rows: list[dict[str, object]]) -> tuple[int, str]:
        with piped("".join(json.dumps({"text": LONG, **row}) + "\n" for row in rows).encode()):
            result = command("score", "-", "--format", "jsonl", "--out", out, "--id-column", "key", "--keep", "stars")
        return result.exit_code, result.stderr

    good: list[dict[str, object]] = [{"key": 1, "stars": 0.5}, {"key": 2, "stars": 4}, {"key": 3, "stars": None}]
    assert run(tmp_path / "good", good) == (0, "")
    table = pq.read_table(tmp_path / "good")
    assert (table["id"].to_pylist(), table["stars"].to_pylist()) == ([1, 2, 3], [0.5, 4.0, None])
    code, errors = run(tmp_path / "kept", [*good, {"key": 4, "stars": "five"}])
    assert (code, "line 4: 'stars' has type string, but the first row of the input has double" in errors) == (2, True)
    code, errors = run(tmp_path / "ids", [*good, {"key": "d", "stars": 1}])
    assert (code, "line 4: the id is a string, but the first ids are integers" in errors) == (2, True)
    assert run(tmp_path / "empty", []) == (0, "")


def test_short_paragraphs_are_skipped_and_counted(command: Command, threaded_service: FakeClassifier, tmp_path: Path) -> None:
    source, out = tmp_path / "a.jsonl", tmp_path / "out"
    texts = [LONG, "Yes.", "\xa0" * 20, "", "\u3000Fourteen chars", "Fifteen letters", None]
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    arguments = ("score", source, "--out", out, "--rows-per-part", 2)
    fault = ItemFault(grpc.StatusCode.INVALID_ARGUMENT, "no", times=1)
    threaded_service.item_faults = {"Fifteen letters": fault}
    result = command(*arguments, UNDERTONE_MIN_CHARACTERS="15")
    assert (result.exit_code, "skipped  4 with fewer than 15 characters" in result.output) == (1, True), result.output
    manifest = read_manifest(out)
    assert manifest["counts"] == {"scored": 1, "failed": 2, "kept": 0, "short": 4}
    assert [shard["short"] for shard in manifest["shards"]] == [1, 2, 1, 0]
    assert [shard["paragraphs"] for shard in manifest["shards"]] == [2, 2, 2, 1]
    assert len(list(out.glob("part-*.parquet"))) == 4
    before = read_failures(out)

    replayed = command("replay", out)
    assert replayed.exit_code == 1
    assert read_failures(out) == [row for row in before if row["id"] == "a/0006"]
    assert read_manifest(out)["counts"]["short"] == 4
    assert [row["id"] for rows in read_table(out).values() for row in rows] == ["a/0000", "a/0005"]

    complete = read_table(out)
    for _ in range(2):  # a complete run, and one that lost a part
        assert command(*arguments, UNDERTONE_MIN_CHARACTERS="15").exit_code == 1
        assert (read_table(out), read_manifest(out)["counts"]["short"]) == (complete, 4)
        (out / "part-00002.parquet").unlink(missing_ok=True)
    result = command(*arguments)
    assert (result.exit_code, "--min-characters: the folder has 15, this command has 0" in result.output) == (2, True)


def test_15_characters_are_the_default(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNDERTONE_MIN_CHARACTERS")
    source, out = tmp_path / "a.txt", tmp_path / "out"
    source.write_text("Fourteen chars\n\nFifteen letters")
    assert command("score", source, "--out", out).exit_code == 0
    assert pd.read_parquet(out)["id"].tolist() == ["a/0001"]


def test_folder_of_an_earlier_version_is_replayed_with_its_rules(
    command: Command, threaded_service: FakeClassifier, tmp_path: Path
) -> None:
    """Earlier versions scored short paragraphs, and wrote integer ids as strings."""
    source, out = tmp_path / "a.jsonl", tmp_path / "out"
    source.write_text("".join(json.dumps({"text": text, "key": index}) + "\n" for index, text in enumerate([LONG, "", "Yes."])))
    threaded_service.item_faults = {"": ItemFault(grpc.StatusCode.INVALID_ARGUMENT, "empty", times=9)}
    assert score(command, source, out)[0] == 1
    table = pq.read_table(out / "part-00000.parquet")
    strings = table.set_column(0, pa.field("id", pa.string(), nullable=False), table["id"].cast(pa.string()))
    pq.write_table(strings, out / "part-00000.parquet")
    manifest = read_manifest(out)
    manifest["schema_version"] = 3
    del manifest["types"], manifest["options"]["keep"], manifest["options"]["min_characters"], manifest["counts"]["short"]
    for shard in manifest["shards"]:
        del shard["short"]
    (out / "_run.json").write_text(json.dumps(manifest))
    failures = out / "_failures.jsonl"
    failures.write_text(failures.read_text().replace('"id": 1', '"id": "1"'))
    assert command("replay", out).exit_code == 1
    assert [row["id"] for row in read_failures(out)] == ["1"]
    assert pq.read_table(out)["id"].to_pylist() == ["0", "2"]
    assert score(command, source, out)[1].count("type of the ids: the folder has string, this command has long") == 1
