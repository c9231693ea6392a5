"""Cancelled calls, passed deadlines and overload do not affect other calls."""

import asyncio

import grpc
import pytest
from undertone_protos.v1 import classifier_pb2

from tests.integration.conftest import Pod
from tests.integration.support.callers import answers_alone, ask, ask_batch, assert_correct, paragraphs, wait_for_calls
from tests.integration.support.processes import Launcher


async def test_cancelled_calls_do_not_affect_other_calls(pod: Pod) -> None:
    texts = paragraphs(60, seed=2)
    cancelled_before = pod.sidecar.metric("grpc_server_handled_total", grpc_code="CANCELLED")
    async with pod.sidecar.connected() as stub:
        answers = await answers_alone(stub, texts)
        with pod.model_server.paused():
            calls = [asyncio.create_task(ask(stub, text)) for text in texts]
            await wait_for_calls(pod.sidecar, Classify=len(texts))
            for call in calls[::2]:
                call.cancel()
            await wait_for_calls(pod.sidecar, Classify=len(texts) // 2)
        replies = await asyncio.gather(*calls[1::2])
        assert all(
            isinstance(outcome, asyncio.CancelledError) for outcome in await asyncio.gather(*calls[::2], return_exceptions=True)
        )
        assert_correct(list(zip(texts[1::2], replies, strict=True)), answers)
    assert pod.sidecar.metric("grpc_server_handled_total", grpc_code="CANCELLED") == cancelled_before + len(texts) // 2


async def test_a_passed_deadline_does_not_affect_other_calls(pod: Pod) -> None:
    texts = paragraphs(20, seed=3)
    async with pod.sidecar.connected() as stub:
        answers = await answers_alone(stub, texts)
        with pod.model_server.paused():
            others = [asyncio.create_task(ask(stub, text)) for text in texts]
            # The sidecar may refuse a call whose deadline it cannot meet.
            codes = {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED}
            for seconds in (1e-6, 0.3, 0.5):
                with pytest.raises(grpc.aio.AioRpcError) as late:
                    await stub.Classify(classifier_pb2.ClassifyRequest(text=texts[0]), timeout=seconds)
                assert late.value.code() in codes
            batch = classifier_pb2.ClassifyBatchRequest(paragraphs=[classifier_pb2.Paragraph(text=texts[0])])
            call = stub.ClassifyBatch(batch, timeout=0.3)
            if (code := await call.code()) is grpc.StatusCode.OK:
                (result,) = (await call).results
                assert result.error.code in {late_code.value[0] for late_code in codes}
            else:
                assert code in codes
        assert_correct(list(zip(texts, await asyncio.gather(*others), strict=True)), answers)


async def test_an_overloaded_sidecar_answers_with_retry_pushback(pod: Pod, launch: Launcher) -> None:
    sidecar = launch.sidecar(pod.base, pod.model_server.target, "--max-queue=8", "--max-batch-paragraphs=8").until_serving()
    texts = paragraphs(200, longest=20, seed=4)
    async with sidecar.connected() as stub:
        answers = await answers_alone(stub, texts)
        with pod.model_server.paused():
            calls = [asyncio.create_task(ask(stub, text)) for text in texts]
            batch = asyncio.create_task(ask_batch(stub, texts[:8]))
            await asyncio.wait([*calls, batch], return_when=asyncio.FIRST_COMPLETED, timeout=60)
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        await asyncio.gather(batch, return_exceptions=True)
        answered = [pair for pair in zip(texts, outcomes, strict=True) if not isinstance(pair[1], BaseException)]
        refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        assert answered
        assert_correct(answered, answers)  # type: ignore[arg-type]
        assert refused
        for error in refused:
            assert isinstance(error, grpc.aio.AioRpcError)
            assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            trailers = dict(error.trailing_metadata() or ())
            assert int(trailers["grpc-retry-pushback-ms"]) > 0
        # After the overload, calls succeed again.
        assert_correct([(text, await ask(stub, text)) for text in texts[:5]], answers)
