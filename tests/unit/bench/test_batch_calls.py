"""ClassifyBatch calls to fake services."""

import asyncio

import grpc
import pytest
from undertone_bench.batch_calls import send_batches, send_singly
from undertone_bench.errors import BenchError
from undertone_client.testing import FakeClassifier, Fault, ItemFault
from undertone_protos.v1.classifier_pb2 import Paragraph

PARAGRAPHS = [Paragraph(text=f"she laughed {number} times", id=str(number)) for number in range(7)]


async def test_all_paragraphs_are_sent_in_turn_and_their_tokens_counted() -> None:
    async with FakeClassifier() as first, FakeClassifier() as second:
        tokens = await send_batches([first.target, second.target], PARAGRAPHS, batch=2, in_flight=1)
    assert tokens == 7 * 6
    sent = [[*service.paragraphs()] for service in (first, second)]
    assert sent == [[PARAGRAPHS[number].text for number in numbers] for numbers in ((0, 1, 4, 5), (2, 3, 6))]


async def test_failed_paragraphs_and_calls_are_errors() -> None:
    async with FakeClassifier() as service:
        service.item_faults[PARAGRAPHS[3].text] = ItemFault(grpc.StatusCode.INVALID_ARGUMENT)
        with pytest.raises(BenchError, match="a paragraph failed: "):
            await send_batches([service.target], PARAGRAPHS, batch=4, in_flight=2)
    # Another service, because the other call to the first one may still take its next fault.
    async with FakeClassifier() as service:
        service.faults.append(Fault(grpc.StatusCode.UNAVAILABLE))
        with pytest.raises(BenchError, match="a call failed: UNAVAILABLE"):
            await send_batches([service.target], PARAGRAPHS, batch=7, in_flight=1)


async def test_a_service_that_does_not_answer_is_an_error() -> None:
    async with FakeClassifier() as service:
        service.gate = asyncio.Event()
        with pytest.raises(BenchError, match="a call failed: DEADLINE_EXCEEDED"):
            await send_batches([service.target], PARAGRAPHS, batch=7, in_flight=1, call_seconds=0.05)


async def test_single_paragraphs_are_sent_once() -> None:
    texts = [paragraph.text for paragraph in PARAGRAPHS]
    async with FakeClassifier() as service:
        await send_singly(service.target, texts, in_flight=2)
        assert sorted(service.paragraphs()) == sorted(texts)


async def test_a_single_paragraph_that_fails_or_gets_no_answer_is_an_error() -> None:
    async with FakeClassifier() as service:
        service.faults.append(Fault(grpc.StatusCode.UNAVAILABLE))
        with pytest.raises(BenchError, match="a call failed: UNAVAILABLE"):
            await send_singly(service.target, ["she laughed"], in_flight=1)
        service.gate = asyncio.Event()
        with pytest.raises(BenchError, match="a call failed: DEADLINE_EXCEEDED"):
            await send_singly(service.target, ["she laughed"], in_flight=1, call_seconds=0.05)
