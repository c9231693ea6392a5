"""Each text is sent once, in bounded memory."""

import asyncio
import json
import tracemalloc
from hashlib import sha256
from pathlib import Path
from typing import cast

import grpc
import pyarrow.parquet as pq
from undertone_cli.readers import InputParagraph, ReadOptions
from undertone_cli.run_folder import Manifest, Part, TextScore
from undertone_cli.scoring.monitor import RunCounts
from undertone_cli.scoring.texts import MAX_DUPLICATES, PendingTexts, ResultCache, TextFailure
from undertone_client import Failure, Paragraph
from undertone_client.testing import EMOTIONS, FakeClassifier, ItemFault, expected_probabilities

from tests.unit.support.command import write_texts
from tests.unit.support.pipeline import run_pipeline


async def score(texts: list[str], folder: Path, service: FakeClassifier) -> tuple[Manifest, RunCounts]:
    path = write_texts(folder / "a.jsonl", texts)
    return await run_pipeline(path, folder / "out", service, rows_per_part=1000)


def labels(folder: Path) -> list[str]:
    return [str(label) for label in pq.read_table(folder / "out")["label"].to_pylist()]


def expected(text: str) -> str:
    probabilities = expected_probabilities(text)
    return EMOTIONS[probabilities.index(max(probabilities))]


async def test_each_text_is_sent_once(tmp_path: Path, service: FakeClassifier) -> None:
    texts = [f"text {index % 7}" for index in range(100)]
    manifest, counts = await score(texts, tmp_path, service)
    assert sorted(service.paragraphs()) == sorted(set(texts))
    assert labels(tmp_path) == [expected(text) for text in texts]
    assert (manifest.scored, manifest.repeated, counts.repeated) == (100, 93, 93)


async def test_saved_score_is_used_for_other_paragraphs_with_the_text(tmp_path: Path, service: FakeClassifier) -> None:
    texts = ["same", "broken", "same", "other"]
    service.item_faults = {"broken": ItemFault(grpc.StatusCode.INTERNAL)}
    await score(texts, tmp_path, service)
    part = tmp_path / "out" / "part-00000.parquet"
    pq.write_table(pq.read_table(part).slice(0, 1), part)  # as if the run had stopped after the first row
    service.calls.clear()
    await score(texts, tmp_path, service)
    assert sorted(service.paragraphs()) == ["broken", "other"]
    assert labels(tmp_path) == [expected(text) for text in ("same", "same", "other")]


async def test_every_paragraph_of_a_failed_text_is_a_dead_letter(tmp_path: Path, service: FakeClassifier) -> None:
    texts = ["fine", " ", *["broken"] * 5, *[" "] * 5]
    service.item_faults = {"broken": ItemFault(grpc.StatusCode.INTERNAL, "poison")}
    manifest, counts = await score(texts, tmp_path, service)
    assert (manifest.scored, manifest.failed, counts.statuses) == (1, 11, {"INTERNAL": 5, "INVALID_ARGUMENT": 6})
    assert sorted(service.paragraphs()) == [" ", "broken", "fine"]
    reasons = [json.loads(line)["reason"] for line in (tmp_path / "out" / "_failures.jsonl").read_text().splitlines()]
    assert reasons == ["the text is empty", *["poison"] * 5, *["the text is empty"] * 5]


async def test_long_id_fails_neither_its_paragraph_nor_others_with_the_text(tmp_path: Path, service: FakeClassifier) -> None:
    rows = [("x" * 295, "same"), ("good", "same"), ("y" * 300, "other"), ("short", "other")]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"key": key, "text": text}) + "\n" for key, text in rows))
    manifest, _ = await run_pipeline(path, tmp_path / "out", service, read=ReadOptions(id_column="key"))
    assert (manifest.scored, manifest.failed) == (4, 0)
    assert pq.read_table(tmp_path / "out")["id"].to_pylist() == [key for key, _ in rows]


async def test_paragraphs_of_files_in_deep_folders_are_scored(tmp_path: Path, service: FakeClassifier) -> None:
    folder = tmp_path / "corpus" / Path(*["a folder with a long name"] * 20)
    folder.mkdir(parents=True)
    write_texts(folder / "novel.txt", ["One.", "Two."])
    manifest, _ = await run_pipeline(tmp_path / "corpus", tmp_path / "out", service)
    assert (manifest.scored, manifest.failed) == (2, 0)
    idents = pq.read_table(tmp_path / "out")["id"].to_pylist()
    assert [ident.rpartition("/")[2] for ident in idents] == ["0000", "0001"]
    assert len(idents[0]) > 500


async def test_number_of_waiting_duplicates_is_bounded() -> None:
    pending, part = PendingTexts(), cast("Part", object())
    paragraphs = [
        InputParagraph(ordinal, f"a/{ordinal}", "a", ordinal, "", "same", "ab") for ordinal in range(MAX_DUPLICATES + 2)
    ]
    assert [pending.add(part, paragraph) for paragraph in paragraphs] == [True, *[False] * (MAX_DUPLICATES + 1)]
    room = asyncio.ensure_future(pending.wait_for_room())
    await asyncio.sleep(0)
    assert not room.done()
    waiting = pending.pop(0)
    await room
    assert [each.paragraph.ordinal for each in waiting] == list(range(MAX_DUPLICATES + 2))
    assert {each.paragraph.text for each in waiting[1:]} == {None}


async def test_input_of_one_repeated_text_is_sent_once(tmp_path: Path, service: FakeClassifier) -> None:
    service.delay_seconds = 0.01
    manifest, _ = await score(["same"] * (MAX_DUPLICATES + 3000), tmp_path, service)
    assert (manifest.scored, service.paragraphs()) == (MAX_DUPLICATES + 3000, ["same"])


def test_cache_evicts_the_least_recently_used_text() -> None:
    cache = ResultCache(capacity=2)
    digests = [sha256(text).hexdigest() for text in (b"a", b"b", b"c")]
    for number, digest in enumerate(digests[:2]):
        cache.add_score(digest, TextScore(str(number), (0.25, 0.75), 5, 1, truncated=False))
    assert cache.get(digests[0]) == TextScore("0", (0.25, 0.75), 5, 1, truncated=False)
    failure = cache.add(digests[2], Failure(Paragraph("c"), grpc.StatusCode.INVALID_ARGUMENT, "too long", 1))
    assert cache.get(digests[2]) == failure == TextFailure(grpc.StatusCode.INVALID_ARGUMENT, "too long", 1)
    assert cache.get(digests[1]) is None  # the least recently used text
    cache.add(digests[1], Failure(Paragraph("b"), grpc.StatusCode.UNAVAILABLE, "gone", 5))
    assert cache.get(digests[1]) is None


def test_memory_of_a_cached_score() -> None:
    probabilities = expected_probabilities("x")
    tracemalloc.start()
    try:
        cache = ResultCache()
        for number in range(5000):
            cache.add_score(sha256(number.to_bytes(4)).hexdigest(), TextScore("joy", probabilities, 400, 1, truncated=False))
        assert tracemalloc.get_traced_memory()[0] / 5000 < 450
    finally:
        tracemalloc.stop()
