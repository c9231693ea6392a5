"""Runs that are stopped anywhere and continued, against one that is not."""

import asyncio
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_cli.readers import ReadOptions, find_inputs, inspect_inputs
from undertone_cli.run_folder import Manifest, RunFolder, RunIdentity, ScoreTable
from undertone_cli.scoring.monitor import GetState, OnChange, RunCounts
from undertone_cli.scoring.pipeline import Pipeline
from undertone_client import Client, LimitSettings, Model, Policy, RetryPolicy, Settings, UnavailableError
from undertone_client.jobs import InputError, OutputError
from undertone_client.testing import EMOTIONS, FakeClassifier, ItemFault

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
ROWS_PER_PART = 5


def written(path: Path, texts: Iterable[str | None]) -> Path:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return path


async def run(
    path: Path, out: Path, service: FakeClassifier, *, on_change: OnChange | None = None, **options: Any
) -> tuple[Manifest, RunCounts]:
    inputs = find_inputs([str(path)], ReadOptions())
    inspection = inspect_inputs(inputs)
    model = Model("fake", 1, "fp32")
    identity = RunIdentity(inspection.fingerprints, inputs.options, ROWS_PER_PART, model, EMOTIONS, Policy.CHUNK_MEAN)
    folder, counts = RunFolder(out), RunCounts(total=inspection.paragraphs)
    own = Settings(batch_items=3, limit=LimitSettings.fixed(2), lookahead_items=6, retry=RetryPolicy(attempts=1))
    with folder.locked():
        manifest = folder.read_manifest() or Manifest(identity, NOON)
        folder.write_manifest(manifest)
        options = {"now": lambda: NOON, **({"on_change": on_change} if on_change else {}), **options}
        async with Client(service.target, settings=own) as client:
            return await Pipeline(folder, manifest, inputs, counts, client, **options).run(), counts


def content(out: Path) -> dict[str, list[dict[str, Any]]]:
    return {path.name: pq.read_table(path).to_pylist() for path in RunFolder(out).parts()}


def failures(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "failures.jsonl").read_text().splitlines()]


def stop_after(changes: int) -> OnChange:
    task = asyncio.current_task()
    assert task is not None

    def on_change(counts: RunCounts, state: GetState) -> None:
        if counts.scored + counts.failed == changes:
            task.cancel()

    return on_change


async def test_a_row_for_each_paragraph_in_the_order_of_the_input(tmp_path: Path, service: FakeClassifier) -> None:
    path = written(tmp_path / "a.jsonl", [f"paragraph {'x' * (index % 7)} {index}" for index in range(12)])
    manifest, counts = await run(path, tmp_path / "out", service)
    parts = content(tmp_path / "out")
    assert {name: len(rows) for name, rows in parts.items()} == {
        "part-00000.parquet": 5,
        "part-00001.parquet": 5,
        "part-00002.parquet": 2,
    }
    assert [row["position"] for rows in parts.values() for row in rows] == list(range(12))
    assert (manifest.complete, manifest.scored, manifest.failed, counts.scored) == (True, 12, 0, 12)
    row = parts["part-00000.parquet"][0]
    assert (row["id"], row["document"], row["model_name"], row["policy"]) == ("a/0000", "a", "fake", "chunk-mean")
    assert row["scored_at"] == NOON
    assert row["label"] == max(EMOTIONS, key=lambda emotion: row[emotion])


async def test_the_schema(tmp_path: Path, service: FakeClassifier) -> None:
    await run(written(tmp_path / "a.jsonl", ["text"]), tmp_path / "out", service)
    schema = pq.read_schema(tmp_path / "out" / "scores" / "part-00000.parquet")
    fixed = {
        "id": pa.string(),
        "document": pa.string(),
        "position": pa.int64(),
        "text_sha256": pa.string(),
        "label": pa.string(),
        "tokens": pa.int32(),
        "chunks": pa.int32(),
        "truncated": pa.bool_(),
        "model_name": pa.string(),
        "model_version": pa.int64(),
        "precision": pa.string(),
        "policy": pa.string(),
        "scored_at": pa.timestamp("us", tz="UTC"),
    }
    assert dict(zip(schema.names, schema.types, strict=True)) == fixed | dict.fromkeys(EMOTIONS, pa.float32())
    assert schema.names[5:14] == list(EMOTIONS)


async def test_failures_are_listed_in_order_and_tried_again(tmp_path: Path, service: FakeClassifier) -> None:
    texts = ["one", None, "three", "", "five", "six", "seven"]
    service.item_faults = {"six": ItemFault(grpc.StatusCode.INTERNAL, "broken", times=1)}
    path, out = written(tmp_path / "a.jsonl", texts), tmp_path / "out"
    manifest, _ = await run(path, out, service)
    assert [(line["position"], line["status"], line["attempts"]) for line in failures(out)] == [
        (1, "INVALID_ARGUMENT", 0),
        (3, "INVALID_ARGUMENT", 1),
        (5, "INTERNAL", 1),
    ]
    assert (manifest.complete, manifest.scored, manifest.failed) == (True, 4, 3)
    assert "the text is null" in failures(out)[0]["reason"]

    service.calls.clear()
    manifest, counts = await run(path, out, service)
    assert sorted(service.paragraphs()) == ["", "six"]
    assert [line["position"] for line in failures(out)] == [1, 3]
    assert (manifest.scored, manifest.failed, manifest.kept, counts.kept) == (5, 2, 4, 4)
    assert [row["position"] for rows in content(out).values() for row in rows] == [0, 2, 4, 5, 6]


async def test_a_run_that_is_complete_sends_nothing_and_changes_nothing(tmp_path: Path, service: FakeClassifier) -> None:
    path, out = written(tmp_path / "a.jsonl", [f"paragraph {index}" for index in range(11)]), tmp_path / "out"
    await run(path, out, service)
    before = {path: path.stat().st_mtime_ns for path in RunFolder(out).parts()}
    service.calls.clear()
    _, counts = await run(path, out, service)
    assert service.paragraphs() == []
    assert (counts.kept, counts.scored) == (11, 0)
    assert {path: path.stat().st_mtime_ns for path in RunFolder(out).parts()} == before


@settings(max_examples=12, deadline=None)
@given(st.lists(st.sampled_from(["x", "y" * 40, "", None, "broken"]), max_size=24), st.lists(st.integers(1, 12), max_size=3))
def test_however_often_it_is_stopped_the_table_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, kinds: list[str | None], stops: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("run")
    texts = [kind and f"{kind} {index}" if kind != "broken" else kind for index, kind in enumerate(kinds)]

    async def both() -> None:
        async with FakeClassifier() as service:
            service.item_faults = {"broken": ItemFault(grpc.StatusCode.INTERNAL)}
            path = written(folder / "a.jsonl", texts)
            await run(path, folder / "whole", service)
            service.calls.clear()
            for stop in stops:
                try:
                    await run(path, folder / "torn", service, on_change=stop_after(stop))
                except asyncio.CancelledError:
                    task = asyncio.current_task()
                    assert task is not None
                    task.uncancel()
            await run(path, folder / "torn", service)

    asyncio.run(both())
    assert content(folder / "torn") == content(folder / "whole")
    assert failures(folder / "torn") == failures(folder / "whole")
    runs = [json.loads((folder / name / "run.json").read_text()) for name in ("torn", "whole")]
    for key in ("scored", "failed"):
        assert runs[0]["counts"][key] == runs[1]["counts"][key]
    assert runs[0]["tokens"] == runs[1]["tokens"]
    assert runs[0]["complete"]


async def test_what_was_scored_before_a_stop_is_not_sent_again(tmp_path: Path, service: FakeClassifier) -> None:
    path, out = written(tmp_path / "a.jsonl", [f"paragraph {index}" for index in range(40)]), tmp_path / "out"
    with pytest.raises(asyncio.CancelledError):
        await run(path, out, service, on_change=stop_after(17))
    kept = sum(len(rows) for rows in content(out).values())
    assert 17 <= kept < 40
    stopped = json.loads((out / "run.json").read_text())
    assert (stopped["complete"], stopped["finished_at"], stopped["counts"]["scored"]) == (False, None, kept)
    service.calls.clear()
    await run(path, out, service)
    assert len(service.paragraphs()) == 40 - kept


async def test_unfinished_parts_are_saved_now_and_then(tmp_path: Path, service: FakeClassifier) -> None:
    path, out = written(tmp_path / "a.jsonl", ["one", "two", "three"]), tmp_path / "out"
    ticks = iter(range(0, 10**6, 100))
    saved: list[int] = []

    def on_change(counts: RunCounts, state: GetState) -> None:
        saved.append(sum(pq.read_metadata(part).num_rows for part in RunFolder(out).parts()))

    await run(path, out, service, on_change=on_change, clock=lambda: float(next(ticks)), checkpoint_seconds=10)
    assert saved == [0, 1, 2]


async def test_a_service_that_goes_away_ends_the_run(tmp_path: Path, service: FakeClassifier) -> None:
    path, out = written(tmp_path / "a.jsonl", [f"paragraph {index}" for index in range(40)]), tmp_path / "out"
    service.item_faults = {f"paragraph {index}": ItemFault(grpc.StatusCode.UNAVAILABLE, "gone") for index in range(12, 40)}
    with pytest.raises(UnavailableError, match="gone"):
        await run(path, out, service, max_unavailable=6)
    assert json.loads((out / "run.json").read_text())["complete"] is False
    assert {line["reason"] for line in failures(out)} == {"gone"}
    service.item_faults = {}
    manifest, _ = await run(path, out, service)
    assert (manifest.scored, manifest.failed, failures(out)) == (40, 0, [])


async def test_a_model_that_changes_in_the_middle_ends_the_run(tmp_path: Path, service: FakeClassifier) -> None:
    path, out = written(tmp_path / "a.jsonl", [f"paragraph {index}" for index in range(40)]), tmp_path / "out"

    def deploy(counts: RunCounts, state: GetState) -> None:
        service.version = 2 if counts.scored >= 10 else 1

    with pytest.raises(OutputError, match=r"changed its model to fake version 2.*contains scores of fake version 1"):
        await run(path, out, service, on_change=deploy)
    assert {row["model_version"] for rows in content(out).values() for row in rows} == {1}


async def test_a_changed_text_is_noticed(tmp_path: Path, service: FakeClassifier) -> None:
    out = tmp_path / "out"
    await run(written(tmp_path / "a.jsonl", ["one", "two"]), out, service)
    with pytest.raises(OutputError, match=r"line 2: 'a/0001' was scored with another text"):
        await run(written(tmp_path / "a.jsonl", ["one", "zwei"]), out, service)
    with pytest.raises(OutputError, match="not in the input any more"):
        await run(written(tmp_path / "a.jsonl", ["one"]), out, service)


async def test_a_damaged_part_is_named(tmp_path: Path, service: FakeClassifier) -> None:
    path, out = written(tmp_path / "a.jsonl", ["one"]), tmp_path / "out"
    await run(path, out, service)
    (out / "scores" / "part-00000.parquet").write_bytes(b"PAR1 torn")
    with pytest.raises(OutputError, match=r"part-00000\.parquet is damaged .*delete it"):
        await run(path, out, service)


async def test_no_paragraphs_are_a_table_without_rows(tmp_path: Path, service: FakeClassifier) -> None:
    manifest, _ = await run(written(tmp_path / "a.jsonl", []), tmp_path / "out", service)
    assert content(tmp_path / "out") == {"part-00000.parquet": []}
    assert manifest.complete


async def test_an_input_that_has_been_torn_since_the_survey_leaves_what_came_before(
    tmp_path: Path, service: FakeClassifier
) -> None:
    path, out = written(tmp_path / "a.jsonl", ["one", "two"]), tmp_path / "out"
    inputs = find_inputs([str(path)], ReadOptions())
    fingerprints = inspect_inputs(inputs).fingerprints
    path.write_text(path.read_text() + "{torn\n")
    identity = RunIdentity(fingerprints, inputs.options, 5, Model("fake", 1, "fp32"), EMOTIONS, Policy.CHUNK_MEAN)
    folder = RunFolder(out)
    with folder.locked():
        async with Client(service.target) as client:
            with pytest.raises(InputError, match="line 3"):
                await Pipeline(folder, Manifest(identity, NOON), inputs, RunCounts(), client).run()
    assert [row["id"] for row in content(out)["part-00000.parquet"]] == ["a/0000", "a/0001"]


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    second = RunFolder(tmp_path).locked()
    with RunFolder(tmp_path).locked(), pytest.raises(OutputError, match="another run is writing"):
        second.__enter__()


async def test_leftovers_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    leftover = tmp_path / "scores" / ".part-00000.parquet.aside"
    leftover.parent.mkdir()
    leftover.write_bytes(b"half")
    with RunFolder(tmp_path).locked():
        assert not leftover.exists()


def test_scores_without_a_manifest_are_not_trusted(tmp_path: Path) -> None:
    (tmp_path / "scores").mkdir()
    (tmp_path / "scores" / "part-00000.parquet").write_bytes(b"")
    with pytest.raises(OutputError, match=r"no run\.json"):
        RunFolder(tmp_path).read_manifest()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema_version": 1}', '{"schema_version": 99}'])
def test_a_damaged_manifest_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(OutputError, match=r"run\.json .*--overwrite"):
        RunFolder(tmp_path).read_manifest()


async def test_clearing_leaves_the_files_of_others(tmp_path: Path, service: FakeClassifier) -> None:
    out = tmp_path / "out"
    await run(written(tmp_path / "a.jsonl", ["one"]), out, service)
    (out / "notes.txt").write_text("mine")
    RunFolder(out).clear()
    assert sorted(path.name for path in out.iterdir()) == [".lock", "notes.txt", "scores"]


def test_an_emotion_named_like_a_column() -> None:
    identity = RunIdentity((), ReadOptions(), 5, Model("fake", 1, "fp32"), ("joy", "label"), Policy.TRUNCATE)
    with pytest.raises(OutputError, match="emotion named 'label'"):
        ScoreTable(identity)
