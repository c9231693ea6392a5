"""Texts that come more than once are sent once, in bounded memory, and every paragraph still has its row."""

import asyncio
import json
import tracemalloc
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import cast

import grpc
import pyarrow.parquet as pq
from undertone_cli.readers import InputParagraph, ReadOptions, find_inputs, inspect_inputs
from undertone_cli.run_folder import Manifest, Part, RunFolder, RunIdentity, TextScore
from undertone_cli.scoring.monitor import RunCounts
from undertone_cli.scoring.pipeline import Pipeline
from undertone_cli.scoring.texts import MAX_DUPLICATES, PendingTexts, ResultCache, TextFailure
from undertone_client import Client, Failure, LimitSettings, Model, Paragraph, Policy, RetryPolicy, Settings
from undertone_client.testing import EMOTIONS, FakeClassifier, ItemFault, expected_probabilities

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


async def run(texts: list[str], folder: Path, service: FakeClassifier) -> tuple[Manifest, RunCounts]:
    path = folder / "a.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    inputs = find_inputs([str(path)], ReadOptions())
    identity = RunIdentity(
        inspect_inputs(inputs).fingerprints, inputs.options, 1000, Model("fake", 1, "fp32"), EMOTIONS, Policy.CHUNK_MEAN
    )
    out, counts = RunFolder(folder / "out"), RunCounts()
    own = Settings(limit=LimitSettings.fixed(2), batch_items=4, retry=RetryPolicy(attempts=1))
    with out.locked():
        manifest = out.read_manifest() or Manifest(identity, NOON)
        out.write_manifest(manifest)
        async with Client(service.target, settings=own) as client:
            return await Pipeline(out, manifest, inputs, counts, client).run(), counts


def labels(folder: Path) -> list[str]:
    return [str(label) for label in pq.read_table(folder / "out" / "scores")["label"].to_pylist()]


def expected(text: str) -> str:
    probabilities = expected_probabilities(text)
    return EMOTIONS[probabilities.index(max(probabilities))]


async def test_each_text_is_sent_once(tmp_path: Path, service: FakeClassifier) -> None:
    texts = [f"text {index % 7}" for index in range(100)]
    manifest, counts = await run(texts, tmp_path, service)
    assert sorted(service.paragraphs()) == sorted(set(texts))
    assert labels(tmp_path) == [expected(text) for text in texts]
    assert (manifest.scored, manifest.repeated, counts.repeated) == (100, 93, 93)


async def test_what_an_earlier_run_has_scored_is_not_sent_for_another_paragraph_either(
    tmp_path: Path, service: FakeClassifier
) -> None:
    texts = ["same", "broken", "same", "other"]
    service.item_faults = {"broken": ItemFault(grpc.StatusCode.INTERNAL)}
    await run(texts, tmp_path, service)
    part = tmp_path / "out" / "scores" / "part-00000.parquet"
    pq.write_table(pq.read_table(part).slice(0, 1), part)  # as if it had been stopped after the first row
    service.calls.clear()
    await run(texts, tmp_path, service)
    assert sorted(service.paragraphs()) == ["broken", "other"]
    assert labels(tmp_path) == [expected(text) for text in ("same", "same", "other")]


async def test_all_of_a_text_that_is_refused_are_dead_letters(tmp_path: Path, service: FakeClassifier) -> None:
    texts = ["fine", " ", *["broken"] * 5, *[" "] * 5]
    service.item_faults = {"broken": ItemFault(grpc.StatusCode.INTERNAL, "poison")}
    manifest, counts = await run(texts, tmp_path, service)
    assert (manifest.scored, manifest.failed, counts.statuses) == (1, 11, {"INTERNAL": 5, "INVALID_ARGUMENT": 6})
    assert sorted(service.paragraphs()) == [" ", "broken", "fine"]
    reasons = [json.loads(line)["reason"] for line in (tmp_path / "out" / "failures.jsonl").read_text().splitlines()]
    assert reasons == ["the text is empty", *["poison"] * 5, *["the text is empty"] * 5]


async def test_paragraphs_that_wait_for_another_are_bounded() -> None:
    awaited, part = PendingTexts(), cast("Part", object())
    items = [InputParagraph(ordinal, f"a/{ordinal}", "a", ordinal, "", "same", "ab") for ordinal in range(MAX_DUPLICATES + 2)]
    assert [awaited.add(part, item) for item in items] == [True, *[False] * (MAX_DUPLICATES + 1)]
    waiting = asyncio.ensure_future(awaited.wait_for_room())
    await asyncio.sleep(0)
    assert not waiting.done()
    places = awaited.pop("a/0")
    await waiting
    assert [each.paragraph.ordinal for each in places] == list(range(MAX_DUPLICATES + 2))
    assert {each.paragraph.text for each in places[1:]} == {None}


async def test_one_text_alone_is_sent_once_however_often_it_comes(tmp_path: Path, service: FakeClassifier) -> None:
    service.delay_seconds = 0.01
    manifest, _ = await run(["same"] * (MAX_DUPLICATES + 3000), tmp_path, service)
    assert (manifest.scored, service.paragraphs()) == (MAX_DUPLICATES + 3000, ["same"])


def test_answers_are_forgotten_beyond_their_number() -> None:
    answers = ResultCache(capacity=2)
    digests = [sha256(text).hexdigest() for text in (b"a", b"b", b"c")]
    for number, digest in enumerate(digests[:2]):
        answers.add_score(digest, TextScore(str(number), (0.25, 0.75), 5, 1, truncated=False))
    assert answers.get(digests[0]) == TextScore("0", (0.25, 0.75), 5, 1, truncated=False)
    refusal = answers.add(digests[2], Failure(Paragraph("c"), grpc.StatusCode.INVALID_ARGUMENT, "too long", 1))
    assert answers.get(digests[2]) == refusal == TextFailure(grpc.StatusCode.INVALID_ARGUMENT, "too long", 1)
    assert answers.get(digests[1]) is None  # the one that was not asked for the longest time
    answers.add(digests[1], Failure(Paragraph("b"), grpc.StatusCode.UNAVAILABLE, "gone", 5))
    assert answers.get(digests[1]) is None


def test_what_an_answer_takes() -> None:
    probabilities = expected_probabilities("x")
    tracemalloc.start()
    try:
        answers = ResultCache()
        for number in range(5000):
            answers.add_score(sha256(number.to_bytes(4)).hexdigest(), TextScore("joy", probabilities, 400, 1, truncated=False))
        assert tracemalloc.get_traced_memory()[0] / 5000 < 450
    finally:
        tracemalloc.stop()
