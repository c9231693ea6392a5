"""CHUNK_MAX with a contract that has windows."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from undertone_protos.v1 import contract_pb2
from undertone_sidecar.answers import Classified
from undertone_sidecar.batching import MicroBatcher
from undertone_sidecar.chunks import OverlengthPolicy
from undertone_sidecar.errors import OverloadedError
from undertone_sidecar.events import Event, Tokenized
from undertone_sidecar.model import Model, read_model
from undertone_sidecar.pipeline import Pipeline
from undertone_sidecar.testing import FakeBackend, FakeClock, probabilities, write_version

from tests.unit.sidecar.support.pipelines import LIMITS, SENTENCE, FakeModels, batch_limits, classify, make_pipeline


@pytest.fixture(scope="module")
def model_with_windows(tmp_path_factory: pytest.TempPathFactory) -> Model:
    windows = contract_pb2.Windows(tokens=16, neutral_label="neutral")
    folder = write_version(tmp_path_factory.mktemp("windows") / "emotions", 1, windows=windows)
    return read_model(folder, name="emotions", overlap=8, executor=ThreadPoolExecutor(1))


async def test_chunk_max_scores_windows_that_are_neutral_only_together(model_with_windows: Model) -> None:
    backend = FakeBackend()
    pipeline = make_pipeline(backend, [model_with_windows])
    (outcome,) = (await classify(pipeline, SENTENCE * 6, policy=OverlengthPolicy.CHUNK_MAX)).outcomes
    assert isinstance(outcome, Classified)
    assert {batch.input_ids.shape[1] for batch in backend.batches} == {16}
    parts = np.concatenate([probabilities(batch.input_ids, batch.attention_mask, labels=9) for batch in backend.batches])
    assert outcome.chunks == len(parts) > len(SENTENCE.split()) * 6 / 14
    expected = np.append(parts[:, :-1].max(axis=0), parts[:, -1].min())
    np.testing.assert_allclose(outcome.probabilities, expected / expected.sum(), atol=1e-5)


async def test_a_paragraph_that_fits_is_one_window(model_with_windows: Model) -> None:
    backend = FakeBackend()
    pipeline = make_pipeline(backend, [model_with_windows])
    text = "rain " * 30
    maximum, mean = [
        (await classify(pipeline, text, policy=policy)).outcomes[0]
        for policy in (OverlengthPolicy.CHUNK_MAX, OverlengthPolicy.CHUNK_MEAN)
    ]
    assert isinstance(maximum, Classified)
    assert isinstance(mean, Classified)
    assert maximum.chunks == mean.chunks == 1
    np.testing.assert_array_equal(maximum.probabilities, mean.probabilities)


async def test_all_windows_of_a_paragraph_count_in_the_queue(model_with_windows: Model) -> None:
    """80 tokens of text are 7 windows of 16 tokens. The queue has one more sequence."""

    async def outcome(queue_tokens: int) -> type:
        pipeline = make_pipeline(FakeBackend(), [model_with_windows], queue_tokens=queue_tokens)
        return type((await classify(pipeline, "home", "rain " * 80, policy=OverlengthPolicy.CHUNK_MAX)).outcomes[1])

    assert await outcome(8 * 16 - 1) is OverloadedError
    assert await outcome(8 * 16) is Classified


async def test_a_queue_without_room_for_all_windows_refuses_a_call_before_it_is_tokenized(model_with_windows: Model) -> None:
    events: list[Event] = []
    backend = FakeBackend()
    batcher = MicroBatcher(backend, batch_limits(64), call_seconds=30, margin_seconds=0, clock=FakeClock())
    models = FakeModels(model_with_windows)
    pipeline = Pipeline(models, batcher, LIMITS, overlap=8, max_paragraphs=9, clock=FakeClock(), listener=events.append)
    text = "rain " * 80
    await classify(pipeline, text)  # Tells how many tokens a character has.
    before = len(backend.batches)
    backend.hold()
    waiting = [asyncio.create_task(classify(pipeline, "home"))]
    await backend.wait_for_calls(before + 1)
    waiting += [asyncio.create_task(classify(pipeline, "home")) for _ in range(2)]
    while sum(isinstance(event, Tokenized) for event in events) < 4:  # noqa: ASYNC110 - in several tasks
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    with pytest.raises(OverloadedError):
        await classify(pipeline, text, policy=OverlengthPolicy.CHUNK_MAX)
    assert sum(isinstance(event, Tokenized) for event in events) == 4
    backend.release()
    await asyncio.gather(*waiting)
