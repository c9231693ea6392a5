"""Complete, interrupted and continued runs."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_cli.run_folder import FailedParagraphs, RunFolder
from undertone_cli.run_folder import read_failures as read_records
from undertone_cli.scoring.monitor import GetState, OnChange, RunCounts
from undertone_client import RetryPolicy, UnavailableError
from undertone_client.jobs import OutputError
from undertone_client.testing import EMOTIONS, FakeClassifier, Fault, ItemFault
from undertone_protos.v1 import classifier_pb2

from tests.unit.support.command import read_failures, read_table, write_texts
from tests.unit.support.pipeline import NOON, SETTINGS, run_pipeline


def stop_after(changes: int) -> OnChange:
    task = asyncio.current_task()
    assert task is not None

    def on_change(counts: RunCounts, state: GetState) -> None:
        if counts.scored + counts.failed == changes:
            task.cancel()

    return on_change


async def test_table_has_a_row_for_each_paragraph_in_input_order(tmp_path: Path, service: FakeClassifier) -> None:
    path = write_texts(tmp_path / "a.jsonl", [f"paragraph {'x' * (index % 7)} {index}" for index in range(12)])
    manifest, counts = await run_pipeline(path, tmp_path / "out", service)
    parts = read_table(tmp_path / "out")
    assert {name: len(rows) for name, rows in parts.items()} == {
        "part-00000.parquet": 5,
        "part-00001.parquet": 5,
        "part-00002.parquet": 2,
    }
    assert [row["position"] for rows in parts.values() for row in rows] == list(range(12))
    assert (manifest.complete, manifest.scored, manifest.failed, counts.scored) == (True, 12, 0, 12)
    row = parts["part-00000.parquet"][0]
    assert (row["id"], row["document"], row["model_name"], row["policy"]) == ("a/0000", "a", "fake", "chunk-mean")
    assert pq.read_table(tmp_path / "out")["scored_at"].unique().to_pylist() == [NOON]
    assert row["label"] == max(EMOTIONS, key=lambda emotion: row[emotion])


async def test_parts_have_the_documented_schema(tmp_path: Path, service: FakeClassifier) -> None:
    await run_pipeline(write_texts(tmp_path / "a.jsonl", ["text"]), tmp_path / "out", service)
    schema = pq.read_schema(tmp_path / "out" / "part-00000.parquet")
    fixed = {
        "id": pa.string(),
        "document": pa.string(),
        "position": pa.int64(),
        "text_sha256": pa.string(),
        "label": pa.string(),
        "tokens": pa.int32(),
        "chunks": pa.int32(),
        "truncated": pa.bool_(),
        "flags": pa.string(),
        "model_name": pa.string(),
        "model_version": pa.int64(),
        "precision": pa.string(),
        "policy": pa.string(),
        "scored_at": pa.timestamp("us", tz="UTC"),
    }
    assert dict(zip(schema.names, schema.types, strict=True)) == fixed | dict.fromkeys(EMOTIONS, pa.float32())
    assert schema.names[5:14] == list(EMOTIONS)


async def test_a_folder_of_an_earlier_release_continues_with_null_flags(tmp_path: Path, service: FakeClassifier) -> None:
    texts = ["one", "two", "one"]
    service.flags = {"one": (classifier_pb2.FLAG_LANGUAGE, classifier_pb2.FLAG_UNREADABLE)}
    service.item_faults = {"two": ItemFault(grpc.StatusCode.INTERNAL, "broken", times=1)}
    path, out = write_texts(tmp_path / "a.jsonl", texts), tmp_path / "out"
    manifest, counts = await run_pipeline(path, out, service)
    part = out / "part-00000.parquet"
    table = pq.read_table(part)
    assert table["flags"].to_pylist() == ["language,unreadable"] * 2
    assert manifest.flags == counts.flags == {"language": 2, "unreadable": 2}
    pq.write_table(table.drop_columns(["flags"]), part)
    manifest, counts = await run_pipeline(path, out, service)
    assert pq.read_table(part)["flags"].to_pylist() == [None, "", None]
    assert manifest.flags == counts.flags == {}


async def test_kept_scores_count_among_the_flags(tmp_path: Path, service: FakeClassifier) -> None:
    service.flags = {"one": (classifier_pb2.FLAG_LANGUAGE,), "two": (classifier_pb2.FLAG_UNREADABLE,)}
    service.item_faults = {"two": ItemFault(grpc.StatusCode.INTERNAL, "broken", times=1)}
    path, out = write_texts(tmp_path / "a.jsonl", ["one", "two", "three"]), tmp_path / "out"
    manifest, _ = await run_pipeline(path, out, service)
    assert manifest.flags == {"language": 1}
    manifest, counts = await run_pipeline(path, out, service)
    assert manifest.flags == counts.flags == {"language": 1, "unreadable": 1}
    recorded = RunFolder(out).read_manifest()
    assert recorded is not None
    assert recorded.flags == manifest.flags


async def test_failures_are_in_input_order_and_are_retried(tmp_path: Path, service: FakeClassifier) -> None:
    texts = ["one", None, "three", "", "five", "six", "seven"]
    service.item_faults = {"six": ItemFault(grpc.StatusCode.INTERNAL, "broken", times=1)}
    path, out = write_texts(tmp_path / "a.jsonl", texts), tmp_path / "out"
    manifest, _ = await run_pipeline(path, out, service)
    assert [(line["position"], line["status"], line["attempts"]) for line in read_failures(out)] == [
        (1, "INVALID_ARGUMENT", 0),
        (3, "INVALID_ARGUMENT", 1),
        (5, "INTERNAL", 1),
    ]
    assert (manifest.complete, manifest.scored, manifest.failed) == (True, 4, 3)
    assert "the text is null" in read_failures(out)[0]["reason"]

    service.calls.clear()
    manifest, counts = await run_pipeline(path, out, service)
    assert sorted(service.paragraphs()) == ["", "six"]
    assert [line["position"] for line in read_failures(out)] == [1, 3]
    assert (manifest.scored, manifest.failed, manifest.kept, counts.kept) == (5, 2, 4, 4)
    assert [row["position"] for rows in read_table(out).values() for row in rows] == [0, 2, 4, 5, 6]


async def test_complete_run_sends_and_changes_nothing(tmp_path: Path, service: FakeClassifier) -> None:
    path, out = write_texts(tmp_path / "a.jsonl", [f"paragraph {index}" for index in range(11)]), tmp_path / "out"
    await run_pipeline(path, out, service)
    before = {path: path.stat().st_mtime_ns for path in RunFolder(out).parts()}
    service.calls.clear()
    _, counts = await run_pipeline(path, out, service)
    assert service.paragraphs() == []
    assert (counts.kept, counts.scored) == (11, 0)
    assert {path: path.stat().st_mtime_ns for path in RunFolder(out).parts()} == before


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.sampled_from(["x", "y" * 40, "", None, "broken"]), max_size=24),
    st.lists(st.integers(1, 12), max_size=3),
    st.sampled_from([(), (0.75,) * len(EMOTIONS)]),
)
def test_interrupted_runs_make_the_same_table(
    tmp_path_factory: pytest.TempPathFactory, kinds: list[str | None], stops: list[int], thresholds: tuple[float, ...]
) -> None:
    folder = tmp_path_factory.mktemp("run")
    texts = [kind and f"{kind} {index}" if kind != "broken" else kind for index, kind in enumerate(kinds)]

    async def both() -> None:
        async with FakeClassifier(thresholds=thresholds) as service:
            service.item_faults = {"broken": ItemFault(grpc.StatusCode.INTERNAL)}
            path = write_texts(folder / "a.jsonl", texts)
            await run_pipeline(path, folder / "uninterrupted", service)
            service.calls.clear()
            for stop in stops:
                try:
                    await run_pipeline(path, folder / "interrupted", service, on_change=stop_after(stop))
                except asyncio.CancelledError:
                    task = asyncio.current_task()
                    assert task is not None
                    task.uncancel()
            await run_pipeline(path, folder / "interrupted", service)

    asyncio.run(both())
    assert read_table(folder / "interrupted") == read_table(folder / "uninterrupted")
    assert read_failures(folder / "interrupted") == read_failures(folder / "uninterrupted")
    runs = [json.loads((folder / name / "_run.json").read_text()) for name in ("interrupted", "uninterrupted")]
    for key in ("scored", "failed"):
        assert runs[0]["counts"][key] == runs[1]["counts"][key]
    assert runs[0]["tokens"] == runs[1]["tokens"]
    assert runs[0]["complete"]


async def test_saved_paragraphs_are_not_sent_again(tmp_path: Path, service: FakeClassifier) -> None:
    path, out = write_texts(tmp_path / "a.jsonl", [f"paragraph {index}" for index in range(40)]), tmp_path / "out"
    with pytest.raises(asyncio.CancelledError):
        await run_pipeline(path, out, service, on_change=stop_after(17))
    kept = sum(len(rows) for rows in read_table(out).values())
    assert 17 <= kept < 40
    stopped = json.loads((out / "_run.json").read_text())
    assert (stopped["complete"], stopped["finished_at"], stopped["counts"]["scored"]) == (False, None, kept)
    service.calls.clear()
    await run_pipeline(path, out, service)
    assert len(service.paragraphs()) == 40 - kept


async def test_checkpoints_save_unfinished_parts(tmp_path: Path, service: FakeClassifier) -> None:
    path, out = write_texts(tmp_path / "a.jsonl", ["one", "two", "three"]), tmp_path / "out"
    ticks = iter(range(0, 10**6, 100))
    saved: list[int] = []

    def on_change(counts: RunCounts, state: GetState) -> None:
        saved.append(sum(pq.read_metadata(part).num_rows for part in RunFolder(out).parts()))

    await run_pipeline(path, out, service, on_change=on_change, clock=lambda: float(next(ticks)), checkpoint_seconds=10)
    assert saved == [0, 1, 2]


async def test_unavailable_service_ends_the_run(tmp_path: Path, service: FakeClassifier) -> None:
    path, out = write_texts(tmp_path / "a.jsonl", [f"paragraph {index}" for index in range(40)]), tmp_path / "out"
    service.item_faults = {f"paragraph {index}": ItemFault(grpc.StatusCode.UNAVAILABLE, "gone") for index in range(12, 40)}
    with pytest.raises(UnavailableError, match="gone"):
        await run_pipeline(path, out, service, max_unavailable=6)
    assert json.loads((out / "_run.json").read_text())["complete"] is False
    assert {line["reason"] for line in read_failures(out)} == {"gone"}
    service.item_faults = {}
    manifest, _ = await run_pipeline(path, out, service)
    assert (manifest.scored, manifest.failed, read_failures(out)) == (40, 0, [])


async def test_model_change_ends_the_run(tmp_path: Path, service: FakeClassifier) -> None:
    path, out = write_texts(tmp_path / "a.jsonl", [f"paragraph {index}" for index in range(40)]), tmp_path / "out"

    def deploy(counts: RunCounts, state: GetState) -> None:
        service.version = 2 if counts.scored >= 10 else 1

    with pytest.raises(OutputError, match=r"changed its model to fake version 2.*contains scores of fake version 1"):
        await run_pipeline(path, out, service, on_change=deploy)
    assert {row["model_version"] for rows in read_table(out).values() for row in rows} == {1}


@pytest.mark.parametrize("change", [{"thresholds": (0.5,) * len(EMOTIONS)}, {"labels": EMOTIONS[1:]}])
async def test_other_labels_of_the_same_version_end_the_run(
    tmp_path: Path, service: FakeClassifier, change: dict[str, Any]
) -> None:
    path = write_texts(tmp_path / "a.jsonl", [f"paragraph {index}" for index in range(40)])

    def deploy(counts: RunCounts, state: GetState) -> None:
        if counts.scored >= 10:
            vars(service).update(change)

    with pytest.raises(OutputError, match="changed the labels of fake version 1 fp32 during the run"):
        await run_pipeline(path, tmp_path / "out", service, on_change=deploy)


async def test_changed_text_is_an_error(tmp_path: Path, service: FakeClassifier) -> None:
    out = tmp_path / "out"
    await run_pipeline(write_texts(tmp_path / "a.jsonl", ["one", "two"]), out, service)
    with pytest.raises(OutputError, match=r"line 2: 'a/0001' was scored with another text"):
        await run_pipeline(write_texts(tmp_path / "a.jsonl", ["one", "zwei"]), out, service)
    with pytest.raises(OutputError, match="no longer in the input"):
        await run_pipeline(write_texts(tmp_path / "a.jsonl", ["one"]), out, service)


async def test_damaged_part_is_an_error(tmp_path: Path, service: FakeClassifier) -> None:
    path, out = write_texts(tmp_path / "a.jsonl", ["one"]), tmp_path / "out"
    await run_pipeline(path, out, service)
    (out / "part-00000.parquet").write_bytes(b"PAR1 interrupted")
    with pytest.raises(OutputError, match=r"part-00000\.parquet is damaged .*delete it"):
        await run_pipeline(path, out, service)


async def test_clear_keeps_other_files(tmp_path: Path, service: FakeClassifier) -> None:
    out = tmp_path / "out"
    await run_pipeline(write_texts(tmp_path / "a.jsonl", ["one"]), out, service)
    (out / "notes.txt").write_text("mine")
    RunFolder(out).clear()
    assert sorted(path.name for path in out.iterdir()) == [".lock", "notes.txt"]


@pytest.mark.parametrize("texts", [["poison"], ["poison"] * 3, ["one", "two", "poison", "four", "five", "other poison"]])
async def test_a_run_completes_although_paragraphs_make_the_service_unavailable(
    tmp_path: Path, service: FakeClassifier, texts: list[str]
) -> None:
    poison = [index for index, text in enumerate(texts) if "poison" in text]
    service.poison = dict.fromkeys(["poison", "other poison"], Fault(grpc.StatusCode.UNAVAILABLE, "connection reset"))

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(0)

    client = {"settings": replace(SETTINGS, retry=RetryPolicy(attempts=3)), "sleep": sleep}
    path, out = write_texts(tmp_path / "a.jsonl", texts), tmp_path / "out"
    manifest, replay = None, None
    for kind in ("run", "run that retries the failures", "replay"):
        if kind == "replay" and manifest is not None:
            replay = FailedParagraphs(read_records(RunFolder(out)), manifest.shards, 5)
        service.calls.clear()
        # A single UNAVAILABLE would end the run.
        manifest, counts = await run_pipeline(path, out, service, client_options=client, max_unavailable=1, replay=replay)
        assert (manifest.complete, counts.failed) == (True, len(poison))
        assert manifest.scored == len(texts) - len(poison)
        letters = read_failures(out)
        assert [(letter["position"], letter["status"]) for letter in letters] == [(index, "INTERNAL") for index in poison]
        assert all("on this paragraph alone" in letter["reason"] for letter in letters)
        assert service.paragraphs().count("poison") <= 3 * 3 + 5
