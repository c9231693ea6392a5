import asyncio
import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from undertone_sidecar.answers import Answer, Classified, Paragraph
from undertone_sidecar.batching import BatchLimits, Lane, MicroBatcher, Request, Scored
from undertone_sidecar.chunks import OverlengthPolicy
from undertone_sidecar.errors import (
    DeadlineError,
    ModelServerLostError,
    OverloadedError,
    ParagraphError,
    UnavailableError,
    VersionGoneError,
)
from undertone_sidecar.events import Event, Tokenized
from undertone_sidecar.model import Model, read_model
from undertone_sidecar.pipeline import Pipeline
from undertone_sidecar.testing import FakeBackend, FakeClock, probabilities, write_version

from tests.unit.sidecar.support.pipelines import LIMITS, SENTENCE, FakeModels, batch_limits, classify, make_pipeline


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, Model]:
    base: Path = tmp_path_factory.mktemp("models") / "emotions"
    executor = ThreadPoolExecutor(1)
    return tuple(  # type: ignore[return-value]
        read_model(write_version(base, version), name="emotions", overlap=8, executor=executor) for version in (1, 2)
    )


texts = st.lists(
    st.text(st.sampled_from("rain home door she é漢 .,!?"), min_size=1, max_size=120).filter(lambda text: not text.isspace()),
    min_size=1,
    max_size=12,
)


@given(texts, st.sampled_from([OverlengthPolicy.TRUNCATE, OverlengthPolicy.CHUNK_MEAN, OverlengthPolicy.CHUNK_MAX]))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_a_text_gets_the_same_result_alone_or_in_any_batch(
    models: tuple[Model, Model], texts: list[str], policy: OverlengthPolicy
) -> None:
    pipeline = make_pipeline(FakeBackend(), models)
    together, *alone = await asyncio.gather(
        classify(pipeline, *texts, policy=policy), *(classify(pipeline, text, policy=policy) for text in texts)
    )
    later = [await classify(pipeline, text, policy=policy) for text in texts]
    for outcome, *repetitions in zip(together.outcomes, alone, later, strict=True):
        assert isinstance(outcome, Classified)
        assert outcome.probabilities.sum() == pytest.approx(1, abs=1e-5)
        for repetition in repetitions:
            (same,) = repetition.outcomes
            assert isinstance(same, Classified)
            np.testing.assert_allclose(outcome.probabilities, same.probabilities, atol=1e-5)
            assert (outcome.tokens, outcome.chunks, outcome.truncated) == (same.tokens, same.chunks, same.truncated)


async def test_the_model_gets_the_tokens_of_the_tokenizer(models: tuple[Model, Model]) -> None:
    backend = FakeBackend()
    (outcome,) = (await classify(make_pipeline(backend, models), "the rain had stopped")).outcomes
    (batch,) = backend.batches
    assert batch.input_ids.shape == (1, 16)
    vocabulary = {"the": 0, "rain": 1, "had": 2, "stopped": 3, "[SEP]": 15, "[CLS]": 17}
    expected = [vocabulary[word] for word in ("[CLS]", "the", "rain", "had", "stopped", "[SEP]")]
    assert batch.input_ids[0, :6].tolist() == expected
    assert batch.attention_mask[0].tolist() == [1] * 6 + [0] * 10
    assert isinstance(outcome, Classified)
    assert outcome.tokens == 6


async def test_every_chunk_has_special_tokens_only_around_it(models: tuple[Model, Model]) -> None:
    backend = FakeBackend()
    (outcome,) = (await classify(make_pipeline(backend, models), SENTENCE * 6)).outcomes
    assert isinstance(outcome, Classified)
    rows = [
        row[mask == 1] for batch in backend.batches for row, mask in zip(batch.input_ids, batch.attention_mask, strict=True)
    ]
    assert outcome.chunks == len(rows) > 1
    assert all(row[0] == 17 and row[-1] == 15 and len(row) == 32 for row in rows)
    assert not outcome.truncated


async def test_a_truncated_paragraph_is_scored_by_its_beginning_and_marked(models: tuple[Model, Model]) -> None:
    backend = FakeBackend()
    (outcome,) = (await classify(make_pipeline(backend, models), SENTENCE * 6, policy=OverlengthPolicy.TRUNCATE)).outcomes
    assert isinstance(outcome, Classified)
    (batch,) = backend.batches
    np.testing.assert_array_equal(outcome.probabilities, probabilities(batch.input_ids, batch.attention_mask, labels=9)[0])
    assert (outcome.truncated, outcome.chunks, batch.input_ids.shape) == (True, 1, (1, 32))
    assert outcome.tokens > 32


async def test_a_bad_paragraph_does_not_affect_the_others(models: tuple[Model, Model]) -> None:
    answer = await classify(
        make_pipeline(FakeBackend(), models), "rain", " ", "x" * 1501, "\u200b", "home", policy=OverlengthPolicy.REJECT
    )
    assert [type(outcome) for outcome in answer.outcomes] == [
        Classified,
        ParagraphError,
        ParagraphError,
        ParagraphError,
        Classified,
    ]


async def test_a_call_after_its_deadline_is_not_sent(models: tuple[Model, Model]) -> None:
    backend = FakeBackend()
    with pytest.raises(DeadlineError):
        await make_pipeline(backend, models).classify([Paragraph("rain", "")], OverlengthPolicy.CHUNK_MEAN, -1.0)
    assert backend.batches == []


async def test_a_call_that_a_full_queue_refuses_is_not_tokenized(models: tuple[Model, Model]) -> None:
    backend, events, third = FakeBackend(), list[Event](), asyncio.Event()

    def listen(event: Event) -> None:
        if isinstance(event, Tokenized):
            events.append(event)
        if len(events) == 3:
            third.set()

    limits = BatchLimits(budget=128, slots=1, queue_tokens=20, batch_share=0.1)
    batcher = MicroBatcher(backend, limits, call_seconds=30, margin_seconds=0, clock=FakeClock())
    pipeline = Pipeline(FakeModels(*models), batcher, LIMITS, overlap=8, max_paragraphs=10, clock=FakeClock(), listener=listen)
    await classify(pipeline, SENTENCE)
    backend.hold()
    waiting = [asyncio.create_task(classify(pipeline, SENTENCE))]
    await backend.wait_for_calls(2)
    waiting.append(asyncio.create_task(classify(pipeline, SENTENCE)))
    await third.wait()
    await asyncio.sleep(0)
    with pytest.raises(OverloadedError, match="the queue is full"):
        await classify(pipeline, SENTENCE, SENTENCE)
    assert len(events) == 3
    backend.release()
    await asyncio.gather(*waiting)


async def test_at_the_deadline_a_call_gets_the_results_that_it_has(models: tuple[Model, Model]) -> None:
    backend = FakeBackend()
    limits = BatchLimits(budget=128, slots=1, queue_tokens=10_000, batch_share=0.1)
    batcher = MicroBatcher(backend, limits, call_seconds=30, margin_seconds=0)
    pipeline = Pipeline(FakeModels(*models), batcher, LIMITS, overlap=8, max_paragraphs=10, margin_seconds=9.9)
    backend.fails = lambda batch: backend.hold()
    paragraphs = [Paragraph(text, "") for text in ("rain", SENTENCE * 6)]
    answer = await pipeline.classify(paragraphs, OverlengthPolicy.CHUNK_MEAN, time.monotonic() + 10)
    assert [type(outcome) for outcome in answer.outcomes] == [Classified, DeadlineError]
    backend.release()
    await batcher.close()


async def test_a_full_queue_fails_the_whole_call_only_if_no_paragraph_was_accepted(models: tuple[Model, Model]) -> None:
    backend = FakeBackend()
    backend.hold()
    pipeline = make_pipeline(backend, models, queue_tokens=40)
    first = asyncio.create_task(classify(pipeline, "rain", "home", "door"))
    await backend.wait_for_calls()
    queued = asyncio.create_task(classify(pipeline, "rain", "home"))
    with pytest.raises(OverloadedError, match="the queue is full"):
        await asyncio.gather(*(classify(pipeline, SENTENCE) for _ in range(3)))
    backend.release()
    answer = await first
    assert [type(outcome) for outcome in answer.outcomes] == [Classified, Classified, OverloadedError]
    await asyncio.gather(queued, return_exceptions=True)


async def test_a_lane_with_too_many_paragraphs_refuses_calls_but_the_other_lane_does_not(models: tuple[Model, Model]) -> None:
    backend = FakeBackend()
    backend.hold()
    pipeline = make_pipeline(backend, models, max_paragraphs=2)
    jobs = [Paragraph("rain", "")] * 2
    first = asyncio.create_task(pipeline.classify(jobs, OverlengthPolicy.CHUNK_MEAN, math.inf, Lane.BATCH))
    await backend.wait_for_calls()
    with pytest.raises(OverloadedError, match="2 paragraphs of the lane batch are in progress; the limit is 2"):
        await pipeline.classify(jobs[:1], OverlengthPolicy.CHUNK_MEAN, math.inf, Lane.BATCH)
    online = asyncio.create_task(classify(pipeline, "home"))
    backend.release()
    assert all(isinstance(outcome, Classified) for outcome in (await online).outcomes + (await first).outcomes)


async def test_a_refused_paragraph_leaves_no_chunks_in_the_queue(models: tuple[Model, Model]) -> None:
    backend = FakeBackend()
    answer = await classify(make_pipeline(backend, models, queue_tokens=64), "rain", SENTENCE * 10, "home")
    assert [type(outcome) for outcome in answer.outcomes] == [Classified, OverloadedError, Classified]
    assert sum(len(batch.input_ids) for batch in backend.batches) == 2


async def test_a_call_is_repeated_with_the_version_that_replaces_a_removed_one(models: tuple[Model, Model]) -> None:
    backend = FakeBackend()
    backend.fails = lambda batch: VersionGoneError("gone") if batch.version == 1 else None
    answer = await classify(make_pipeline(backend, models), "rain", "home")
    assert answer.model.version == 2
    assert all(isinstance(outcome, Classified) for outcome in answer.outcomes)


async def test_a_call_is_unavailable_if_versions_keep_disappearing(models: tuple[Model, Model]) -> None:
    backend = FakeBackend()
    backend.fails = lambda _: VersionGoneError("gone")
    with pytest.raises(UnavailableError, match="changed versions 5 times"):
        await classify(make_pipeline(backend, models), "rain")


class RecordingBatcher(MicroBatcher):
    """A batcher that keeps the futures of its results."""

    def __init__(self, backend: FakeBackend) -> None:
        super().__init__(backend, batch_limits(), call_seconds=30, margin_seconds=0, clock=FakeClock())
        self.futures: list[asyncio.Future[Scored]] = []

    def check(self, lane: Lane, caller: str, costs: Sequence[int], deadline: float) -> None:
        pass

    def submit(self, requests: Sequence[Request]) -> list[asyncio.Future[Scored]]:
        results = super().submit(requests)
        self.futures += results
        return results


async def test_the_loss_of_the_model_server_fails_the_whole_call_so_that_another_pod_can_answer_it(
    models: tuple[Model, Model],
) -> None:
    backend = FakeBackend()
    # The texts need two batches. The model server is lost after the first.
    backend.fails = lambda _: ModelServerLostError("lost") if len(backend.batches) > 1 else None
    with pytest.raises(ModelServerLostError):
        await classify(make_pipeline(backend, models), *[SENTENCE] * 20)
    assert len(backend.batches) > 1


async def test_a_cancelled_call_cancels_all_its_requests(models: tuple[Model, Model]) -> None:
    backend = FakeBackend()
    backend.hold()
    batcher = RecordingBatcher(backend)
    pipeline = Pipeline(FakeModels(*models), batcher, LIMITS, overlap=8, max_paragraphs=10, clock=FakeClock())
    call = asyncio.create_task(classify(pipeline, "rain", SENTENCE * 6))
    await backend.wait_for_calls()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert len(batcher.futures) > 2
    assert all(future.cancelled() for future in batcher.futures)
    await batcher.close()


async def test_a_small_call_is_tokenized_before_the_large_calls_of_another_caller(models: tuple[Model, Model]) -> None:
    tokenized: list[int] = []

    def listener(event: Event) -> None:
        if isinstance(event, Tokenized):
            tokenized.append(event.paragraphs)

    batcher = MicroBatcher(FakeBackend(), batch_limits(10**7), call_seconds=30, margin_seconds=0, clock=FakeClock())
    pipeline = Pipeline(
        FakeModels(*models), batcher, LIMITS, overlap=8, max_paragraphs=5000, clock=FakeClock(), listener=listener
    )
    large = [Paragraph("rain " * 280, "")] * 100  # Three groups of texts.

    def call(paragraphs: Sequence[Paragraph], lane: Lane, caller: str) -> "asyncio.Task[Answer]":
        return asyncio.create_task(pipeline.classify(paragraphs, OverlengthPolicy.TRUNCATE, math.inf, lane, caller))

    greedy = [call(large, lane, "greedy") for lane in (Lane.BATCH, Lane.ONLINE) for _ in range(10)]
    await asyncio.sleep(0)
    await call([Paragraph("rain", "")], Lane.ONLINE, "other")
    assert tokenized.index(1) <= 2
    for task in greedy:
        task.cancel()
    await asyncio.gather(*greedy, return_exceptions=True)
    # A cancelled call keeps no thread.
    await call([Paragraph("rain", "")], Lane.ONLINE, "other")
    await batcher.close()
