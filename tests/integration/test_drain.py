"""SIGTERM to a busy sidecar: accepted calls are finished."""

import asyncio
import signal

import grpc

from tests.integration.conftest import Pod
from tests.integration.support.callers import (
    TOLERANCE,
    answers_alone,
    ask_batch,
    assert_correct,
    paragraphs,
    under_load,
    wait_for_calls,
)
from tests.integration.support.processes import Launcher

BATCHES = 20
CALLERS = 8


async def test_a_drain_under_load_finishes_all_accepted_calls(pod: Pod, launch: Launcher) -> None:
    sidecar = launch.sidecar(pod.base, pod.model_server.target, "--max-queue=8192").until_serving()
    texts = paragraphs(128, seed=5)
    async with sidecar.connected() as stub, sidecar.connected() as other:
        answers = await answers_alone(stub, texts)
        async with under_load(other, texts, callers=CALLERS) as load:
            await load.more_replies(50)
            with pod.model_server.paused():
                calls = [asyncio.create_task(ask_batch(stub, texts)) for _ in range(BATCHES)]
                await wait_for_calls(sidecar, ClassifyBatch=BATCHES, Classify=CALLERS)
                answered = len(load.replies)
                sidecar.signal(signal.SIGTERM)
                # The drain has begun, but cannot end while the model server is paused.
                await asyncio.to_thread(sidecar.until, lambda: '"draining"' in sidecar.log, "the sidecar drains")
            for reply in await asyncio.gather(*calls):
                for text, result in zip(texts, reply.results, strict=True):
                    difference = zip(result.classification.probabilities, answers[text], strict=True)
                    assert max(abs(one - other) for one, other in difference) <= TOLERANCE
            assert await asyncio.to_thread(sidecar.wait) == 0
            await load.more_refusals(CALLERS)
        assert len(load.replies) == answered + CALLERS
        assert_correct(load.replies, answers)
        # gRPC cancels a call that arrives at the moment of its stop.
        assert {error.code() for error in load.refusals} <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    assert '"drained"' in sidecar.log


async def test_a_second_signal_ends_the_drain_with_exit_code_5(pod: Pod, launch: Launcher) -> None:
    sidecar = launch.sidecar(pod.base, pod.model_server.target).until_serving()
    async with sidecar.connected() as stub:
        with pod.model_server.paused():
            call = asyncio.create_task(ask_batch(stub, paragraphs(8)))
            await wait_for_calls(sidecar, ClassifyBatch=1)
            sidecar.signal(signal.SIGTERM)
            await asyncio.to_thread(sidecar.until, lambda: '"draining"' in sidecar.log, "the sidecar drains")
            sidecar.signal(signal.SIGTERM)
            assert await asyncio.to_thread(sidecar.wait) == 5
        (outcome,) = await asyncio.gather(call, return_exceptions=True)
    assert isinstance(outcome, grpc.aio.AioRpcError)
    assert outcome.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
