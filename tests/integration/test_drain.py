"""SIGTERM to a sidecar that has work: nothing that it has accepted is lost."""

import asyncio
import signal

import grpc

from tests.integration.conftest import Pod
from tests.integration.support.callers import TOLERANCE, answers_alone, ask_batch, assert_right, paragraphs, under_load
from tests.integration.support.processes import Launcher, Sidecar, until

BATCHES = 20
CALLERS = 8


async def accepted(sidecar: Sidecar, **calls: int) -> None:
    """Waits until so many calls of each method have been read and have no answer yet."""

    def are_accepted() -> bool:
        return all(sidecar.calls_running(method) == count for method, count in calls.items())

    await asyncio.to_thread(until, are_accepted, f"calls are accepted: {calls}")


async def test_a_drain_under_load_answers_all_that_was_accepted(pod: Pod, launch: Launcher) -> None:
    sidecar = launch.sidecar(pod.base, pod.model_server.target, "--max-queue=8192").until_serving()
    texts = paragraphs(128, seed=5)
    async with sidecar.connected() as stub, sidecar.connected() as other:
        answers = await answers_alone(stub, texts)
        async with under_load(other, texts, callers=CALLERS) as load:
            await load.more_replies(50)
            with pod.model_server.paused():
                calls = [asyncio.create_task(ask_batch(stub, texts)) for _ in range(BATCHES)]
                await accepted(sidecar, ClassifyBatch=BATCHES, Classify=CALLERS)
                answered = len(load.replies)
                sidecar.signal(signal.SIGTERM)
                # It has begun to drain, and cannot end: the model server stands still.
                await asyncio.to_thread(sidecar.until, lambda: '"draining"' in sidecar.log, "it drains")
            for reply in await asyncio.gather(*calls):
                for text, result in zip(texts, reply.results, strict=True):
                    difference = zip(result.classification.probabilities, answers[text], strict=True)
                    assert max(abs(one - other) for one, other in difference) <= TOLERANCE
            assert await asyncio.to_thread(sidecar.wait) == 0
            await load.more_refusals(CALLERS)
        assert len(load.replies) == answered + CALLERS
        assert_right(load.replies, answers)
        # gRPC itself cancels a call that arrives in the very moment in which it stops.
        assert {error.code() for error in load.refusals} <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    assert '"drained"' in sidecar.log


async def test_a_second_signal_cuts_the_drain_short_and_says_so(pod: Pod, launch: Launcher) -> None:
    sidecar = launch.sidecar(pod.base, pod.model_server.target).until_serving()
    async with sidecar.connected() as stub:
        with pod.model_server.paused():
            call = asyncio.create_task(ask_batch(stub, paragraphs(8)))
            await accepted(sidecar, ClassifyBatch=1)
            sidecar.signal(signal.SIGTERM)
            await asyncio.to_thread(sidecar.until, lambda: '"draining"' in sidecar.log, "it drains")
            sidecar.signal(signal.SIGTERM)
            assert await asyncio.to_thread(sidecar.wait) == 5
        (outcome,) = await asyncio.gather(call, return_exceptions=True)
    assert isinstance(outcome, grpc.aio.AioRpcError)
    assert outcome.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
