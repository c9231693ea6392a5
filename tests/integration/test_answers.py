"""A text gets the same result in any call, and over-length texts are handled by their policy."""

import asyncio
from collections.abc import Awaitable, Callable

import grpc
import pytest
from undertone_protos.v1 import classifier_pb2

from tests.integration.conftest import Pod
from tests.integration.support.callers import (
    MODEL_TOKENS,
    TOLERANCE,
    Stub,
    answers_alone,
    ask,
    ask_batch,
    assert_correct,
    paragraphs,
)

WIDTH = MODEL_TOKENS - 2
OVERLAP = 16


async def test_64_concurrent_callers_get_their_own_results(pod: Pod) -> None:
    texts = paragraphs(192, longest=150)
    async with pod.sidecar.connected() as stub:
        answers = await answers_alone(stub, texts)

    async def singles(stub: Stub, number: int) -> None:
        for text in texts[number::32]:
            assert_correct([(text, await ask(stub, text))], answers)

    async def batches(stub: Stub, number: int) -> None:
        own = texts[number::32] + texts[: number // 3]
        reply = await ask_batch(stub, own)
        assert [result.id for result in reply.results] == [str(index) for index in range(len(own))]
        for text, result in zip(own, reply.results, strict=True):
            assert result.classification.probabilities == pytest.approx(answers[text], abs=TOLERANCE, rel=0)

    async def caller(ask_all: Callable[[Stub, int], Awaitable[None]], number: int) -> None:
        # Each caller has its own connection.
        async with pod.sidecar.connected() as stub:
            await ask_all(stub, number)

    await asyncio.gather(*(caller(kind, number) for kind in (singles, batches) for number in range(32)))
    assert len({tuple(answer) for answer in answers.values()}) == len(texts)


@pytest.mark.parametrize("size", [1, 2, 17, 256])
async def test_a_text_gets_the_same_result_in_any_batch(pod: Pod, size: int) -> None:
    text, *others = paragraphs(256, longest=80, seed=1)
    async with pod.sidecar.connected() as stub:
        alone = (await ask(stub, text)).probabilities
        for position in {0, size // 2, size - 1}:
            batch = [*others[:position], text, *others[position : size - 1]]
            reply = await ask_batch(stub, batch)
            assert len(reply.results) == size
            assert reply.results[position].classification.probabilities == pytest.approx(alone, abs=TOLERANCE, rel=0)
            assert sum(alone) == pytest.approx(1, abs=1e-5)


def words(count: int) -> list[str]:
    """Words of `count` tokens."""
    return ["rain", "letter", "night", "sea", "wept"] * (count // 5) + ["door"] * (count % 5)


async def test_a_text_of_exactly_the_models_length_is_one_chunk(pod: Pod) -> None:
    async with pod.sidecar.connected() as stub:
        for policy in classifier_pb2.OverlengthPolicy.values():
            reply = await ask(stub, " ".join(words(WIDTH)), policy)
            assert (reply.tokens, reply.chunks, reply.truncated) == (MODEL_TOKENS, 1, False)


async def test_an_overlength_text_is_truncated(pod: Pod) -> None:
    long = words(150)
    async with pod.sidecar.connected() as stub:
        reply = await ask(stub, " ".join(long), classifier_pb2.OVERLENGTH_POLICY_TRUNCATE)
        beginning = await ask(stub, " ".join(long[:WIDTH]))
    assert (reply.tokens, reply.chunks, reply.truncated) == (152, 1, True)
    assert reply.probabilities == pytest.approx(beginning.probabilities, abs=TOLERANCE, rel=0)


async def test_an_overlength_text_is_chunked(pod: Pod) -> None:
    long = words(150)
    starts = (0, WIDTH - OVERLAP, 150 - WIDTH)
    async with pod.sidecar.connected() as stub:
        chunks = [(await ask(stub, " ".join(long[start : start + WIDTH]))).probabilities for start in starts]
        mean, default, largest = [
            await ask(stub, " ".join(long), policy)
            for policy in (
                classifier_pb2.OVERLENGTH_POLICY_CHUNK_MEAN,
                classifier_pb2.OVERLENGTH_POLICY_UNSPECIFIED,
                classifier_pb2.OVERLENGTH_POLICY_CHUNK_MAX,
            )
        ]
    for reply in (mean, default, largest):
        assert (reply.tokens, reply.chunks, reply.truncated) == (152, 3, False)
    # The weight of a chunk is the number of its tokens that the chunk before does not contain.
    new_tokens = (WIDTH, WIDTH - OVERLAP, 150 - WIDTH - (WIDTH - OVERLAP))
    expected = [
        sum(weight * p for weight, p in zip(new_tokens, column, strict=True)) / 150 for column in zip(*chunks, strict=True)
    ]
    assert mean.probabilities == pytest.approx(expected, abs=TOLERANCE, rel=0)
    assert default.probabilities == pytest.approx(expected, abs=TOLERANCE, rel=0)
    maxima = [max(column) for column in zip(*chunks, strict=True)]
    assert largest.probabilities == pytest.approx([p / sum(maxima) for p in maxima], abs=TOLERANCE, rel=0)


async def test_the_policy_reject_refuses_only_the_overlength_text(pod: Pod) -> None:
    texts = ["the rain", " ".join(words(WIDTH + 1)), "the sea"]
    policy = classifier_pb2.OVERLENGTH_POLICY_REJECT
    async with pod.sidecar.connected() as stub:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await ask(stub, texts[1], policy)
        reply = await ask_batch(stub, texts, policy)
    assert refusal.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert f"{WIDTH + 1} tokens" in (refusal.value.details() or "")
    assert [result.WhichOneof("outcome") for result in reply.results] == ["classification", "error", "classification"]
    assert reply.results[1].error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
