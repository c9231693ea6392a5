import asyncio
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from undertone_sidecar.batching import Bounds, Encoded, Lane, MicroBatcher, Scored
from undertone_sidecar.chunks import Policy
from undertone_sidecar.errors import DeadlineError, OverloadedError, ParagraphError, UnavailableError, VersionGoneError
from undertone_sidecar.limits import Limits
from undertone_sidecar.model import Model, read_model
from undertone_sidecar.pipeline import Answer, Classified, Paragraph, Pipeline
from undertone_sidecar.testing import FakeBackend, FakeClock, probabilities, write_version

LIMITS = Limits(paragraph_bytes=2000, paragraph_characters=1500, batch_paragraphs=50, batch_bytes=50_000)
SENTENCE = "The rain had stopped, and she laughed at last. "


class Shelf:
    """Models that are taken one after the other as each goes away."""

    def __init__(self, *models: Model) -> None:
        self.models = list(models)

    def current(self) -> Model:
        return self.models[0]

    async def renewed(self) -> Model:
        self.models = self.models[1:] or self.models
        return self.models[0]

    def suspect(self) -> None:
        pass


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, Model]:
    base: Path = tmp_path_factory.mktemp("models") / "emotions"
    executor = ThreadPoolExecutor(1)
    return tuple(  # type: ignore[return-value]
        read_model(write_version(base, version), name="emotions", overlap=8, budget=128, executor=executor)
        for version in (1, 2)
    )


def pipeline(backend: FakeBackend, models: Sequence[Model], *, waiting: int = 10_000, inside: int = 1000) -> Pipeline:
    bounds = Bounds.token_budget(128, calls=1, waiting=waiting, batch_share=0.1)
    batcher = MicroBatcher(backend, bounds, call_seconds=30, margin_seconds=0, clock=FakeClock())
    return Pipeline(Shelf(*models), batcher, LIMITS, overlap=8, max_inside=inside, clock=FakeClock())


async def ask(subject: Pipeline, *texts: str, policy: Policy = Policy.CHUNK_MEAN) -> Answer:
    return await subject.classify([Paragraph(text, "") for text in texts], policy, math.inf)


texts = st.lists(
    st.text(st.sampled_from("rain home door she é漢 .,!?"), min_size=1, max_size=120).filter(lambda text: not text.isspace()),
    min_size=1,
    max_size=12,
)


@given(texts, st.sampled_from([Policy.TRUNCATE, Policy.CHUNK_MEAN, Policy.CHUNK_MAX]))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_same_text_same_answer_alone_or_in_any_batch(
    models: tuple[Model, Model], texts: list[str], policy: Policy
) -> None:
    subject = pipeline(FakeBackend(), models)
    together, *alone = await asyncio.gather(
        ask(subject, *texts, policy=policy), *(ask(subject, text, policy=policy) for text in texts)
    )
    later = [await ask(subject, text, policy=policy) for text in texts]
    for outcome, *others in zip(together.outcomes, alone, later, strict=True):
        assert isinstance(outcome, Classified)
        assert outcome.probabilities.sum() == pytest.approx(1, abs=1e-5)
        for other in others:
            (same,) = other.outcomes
            assert isinstance(same, Classified)
            np.testing.assert_allclose(outcome.probabilities, same.probabilities, atol=1e-5)
            assert (outcome.tokens, outcome.chunks, outcome.truncated) == (same.tokens, same.chunks, same.truncated)


async def test_the_model_gets_the_tokenizers_own_tokens_whole(models: tuple[Model, Model]) -> None:
    backend = FakeBackend()
    (outcome,) = (await ask(pipeline(backend, models), "the rain had stopped")).outcomes
    (batch,) = backend.batches
    assert batch.input_ids.shape == (1, 16)
    vocabulary = {"the": 0, "rain": 1, "had": 2, "stopped": 3, "[SEP]": 15, "[CLS]": 17}
    expected = [vocabulary[word] for word in ("[CLS]", "the", "rain", "had", "stopped", "[SEP]")]
    assert batch.input_ids[0, :6].tolist() == expected
    assert batch.attention_mask[0].tolist() == [1] * 6 + [0] * 10
    assert isinstance(outcome, Classified)
    assert outcome.tokens == 6


async def test_every_chunk_has_the_special_tokens_and_no_other_does(models: tuple[Model, Model]) -> None:
    backend = FakeBackend()
    (outcome,) = (await ask(pipeline(backend, models), SENTENCE * 6)).outcomes
    assert isinstance(outcome, Classified)
    rows = [
        row[mask == 1] for batch in backend.batches for row, mask in zip(batch.input_ids, batch.attention_mask, strict=True)
    ]
    assert outcome.chunks == len(rows) > 1
    assert all(row[0] == 17 and row[-1] == 15 and len(row) == 32 for row in rows)
    assert not outcome.truncated


async def test_truncation_is_told_and_scores_the_beginning(models: tuple[Model, Model]) -> None:
    backend = FakeBackend()
    (outcome,) = (await ask(pipeline(backend, models), SENTENCE * 6, policy=Policy.TRUNCATE)).outcomes
    assert isinstance(outcome, Classified)
    (batch,) = backend.batches
    np.testing.assert_array_equal(outcome.probabilities, probabilities(batch.input_ids, batch.attention_mask, labels=9)[0])
    assert (outcome.truncated, outcome.chunks, batch.input_ids.shape) == (True, 1, (1, 32))
    assert outcome.tokens > 32


async def test_a_bad_paragraph_never_fails_its_neighbours(models: tuple[Model, Model]) -> None:
    answer = await ask(pipeline(FakeBackend(), models), "rain", " ", "x" * 1501, "\u200b", "home", policy=Policy.REJECT)
    assert [type(outcome) for outcome in answer.outcomes] == [
        Classified,
        ParagraphError,
        ParagraphError,
        ParagraphError,
        Classified,
    ]


async def test_a_passed_deadline_costs_nothing(models: tuple[Model, Model]) -> None:
    backend = FakeBackend()
    with pytest.raises(DeadlineError):
        await pipeline(backend, models).classify([Paragraph("rain", "")], Policy.CHUNK_MEAN, -1.0)
    assert backend.batches == []


async def test_a_full_queue_refuses_the_call_only_if_nothing_found_room(models: tuple[Model, Model]) -> None:
    backend = FakeBackend()
    backend.hold()
    subject = pipeline(backend, models, waiting=40)
    first = asyncio.create_task(ask(subject, "rain", "home", "door"))
    await backend.until_asked()
    waiting = asyncio.create_task(ask(subject, "rain", "home"))
    with pytest.raises(OverloadedError, match="the queue is full"):
        await asyncio.gather(*(ask(subject, SENTENCE) for _ in range(3)))
    backend.release()
    answer = await first
    assert [type(outcome) for outcome in answer.outcomes] == [Classified, Classified, OverloadedError]
    await asyncio.gather(waiting, return_exceptions=True)


async def test_a_lane_that_is_crowded_refuses_and_the_other_does_not(models: tuple[Model, Model]) -> None:
    backend = FakeBackend()
    backend.hold()
    subject = pipeline(backend, models, inside=2)
    jobs = [Paragraph("rain", "")] * 2
    first = asyncio.create_task(subject.classify(jobs, Policy.CHUNK_MEAN, math.inf, Lane.BATCH))
    await backend.until_asked()
    with pytest.raises(OverloadedError, match="2 paragraphs of the lane batch are being worked on and the limit is 2"):
        await subject.classify(jobs[:1], Policy.CHUNK_MEAN, math.inf, Lane.BATCH)
    online = asyncio.create_task(ask(subject, "home"))
    backend.release()
    assert all(isinstance(outcome, Classified) for outcome in (await online).outcomes + (await first).outcomes)


async def test_a_paragraph_that_is_refused_leaves_no_chunks_behind(models: tuple[Model, Model]) -> None:
    backend = FakeBackend()
    answer = await ask(pipeline(backend, models, waiting=64), "rain", SENTENCE * 10, "home")
    assert [type(outcome) for outcome in answer.outcomes] == [Classified, OverloadedError, Classified]
    assert sum(len(batch.input_ids) for batch in backend.batches) == 2


async def test_a_version_that_goes_away_is_followed_by_its_successor(models: tuple[Model, Model]) -> None:
    backend = FakeBackend()
    backend.fails = lambda batch: VersionGoneError("gone") if batch.version == 1 else None
    answer = await ask(pipeline(backend, models), "rain", "home")
    assert answer.model.version == 2
    assert all(isinstance(outcome, Classified) for outcome in answer.outcomes)


async def test_versions_that_go_away_for_ever_end_as_unavailable(models: tuple[Model, Model]) -> None:
    backend = FakeBackend()
    backend.fails = lambda _: VersionGoneError("gone")
    with pytest.raises(UnavailableError, match="changed versions 5 times"):
        await ask(pipeline(backend, models), "rain")


class Recorder:
    """A batcher that answers nobody."""

    def __init__(self) -> None:
        self.futures: list[asyncio.Future[Scored]] = []
        self.asked = asyncio.Event()

    def submit(self, items: Sequence[Encoded]) -> list[asyncio.Future[Scored]]:
        answers = [asyncio.get_running_loop().create_future() for _ in items]
        self.futures += answers
        self.asked.set()
        return answers


async def test_a_caller_who_leaves_withdraws_everything(models: tuple[Model, Model]) -> None:
    batcher = Recorder()
    subject = Pipeline(Shelf(*models), batcher, LIMITS, overlap=8, max_inside=10, clock=FakeClock())
    asking = asyncio.create_task(ask(subject, "rain", SENTENCE * 6))
    await batcher.asked.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert len(batcher.futures) > 2
    assert all(future.cancelled() for future in batcher.futures)
