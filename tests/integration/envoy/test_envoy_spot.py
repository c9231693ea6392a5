"""Envoy in front of pods on spot nodes, which serve the batch lane, and of other pods."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import grpc
from undertone_bench.envoy import LOOPBACK
from undertone_protos.v1 import classifier_pb2, classifier_pb2_grpc

from tests.integration.support.callers import Stub
from tests.integration.support.envoy import Envoy, EnvoyLauncher
from tests.integration.support.processes import TIMEOUT_SECONDS
from tests.integration.support.scripted_pod import Context, ScriptedPod

BATCH = (("undertone-lane", "batch"),)
CALLERS = 16


async def answer_soon(request: classifier_pb2.ClassifyRequest, context: Context) -> classifier_pb2.ClassifyResponse:
    await asyncio.sleep(0.01)
    return classifier_pb2.ClassifyResponse(id=request.id)


async def classify(stub: Stub, lane: Sequence[tuple[str, str]] = ()) -> grpc.StatusCode:
    request = classifier_pb2.ClassifyRequest(text="rain")
    return await stub.Classify(request, metadata=tuple(lane), timeout=TIMEOUT_SECONDS).code()


async def until_healthy(envoy: Envoy, cluster: str, count: int) -> None:
    name = f"cluster.{cluster}.membership_healthy"
    await asyncio.to_thread(envoy.until, lambda: envoy.statistic(name) == count, f"{name} is {count}")


@asynccontextmanager
async def spot_envoy(
    launch: EnvoyLauncher, others: Sequence[ScriptedPod], spot: Sequence[ScriptedPod]
) -> AsyncIterator[tuple[Envoy, Stub]]:
    """An Envoy for both pools, and a stub for it."""
    endpoints = [{"address": LOOPBACK, "port": pod.port} for pod in spot]
    values = {"spot": {"enabled": True, "endpoints": endpoints}}
    envoy = await asyncio.to_thread(launch.envoy, [pod.port for pod in others], others=values)
    await until_healthy(envoy, "sidecars", len(others))
    await until_healthy(envoy, "spot", len(spot))
    async with grpc.aio.insecure_channel(envoy.target) as channel:
        yield envoy, classifier_pb2_grpc.ClassifierStub(channel)


def calls_of(pods: Sequence[ScriptedPod]) -> int:
    count = sum(len(pod.ids) for pod in pods)
    for pod in pods:
        pod.ids.clear()
    return count


async def test_lanes_have_pools_of_their_own(launch_envoy: EnvoyLauncher) -> None:
    async with (
        ScriptedPod(answer_soon) as other,
        ScriptedPod(answer_soon) as first,
        ScriptedPod(answer_soon) as second,
        spot_envoy(launch_envoy, [other], [first, second]) as (envoy, stub),
    ):
        for lane, pools in (((), (20, 0)), (BATCH, (0, 20)), ((("undertone-lane", "online"),), (20, 0))):
            codes = await asyncio.gather(*(classify(stub, lane) for _ in range(20)))
            assert set(codes) == {grpc.StatusCode.OK}
            assert (calls_of([other]), calls_of([first, second])) == pools
        # Batch calls go to the other pods for as long as no spot pod is healthy.
        for pod in (first, second):
            await pod.set_health(serving=False)
        await until_healthy(envoy, "spot", 0)
        assert set(await asyncio.gather(*(classify(stub, BATCH) for _ in range(20)))) == {grpc.StatusCode.OK}
        assert (calls_of([other]), calls_of([first, second])) == (20, 0)
        await first.set_health(serving=True)
        await second.set_health(serving=True)
        await until_healthy(envoy, "spot", 2)
        assert set(await asyncio.gather(*(classify(stub, BATCH) for _ in range(20)))) == {grpc.StatusCode.OK}
        assert (calls_of([other]), calls_of([first, second])) == (0, 20)


async def test_no_call_is_lost_when_all_spot_pods_vanish(launch_envoy: EnvoyLauncher) -> None:
    codes: Counter[grpc.StatusCode] = Counter()
    vanished = asyncio.Event()
    async with AsyncExitStack() as spot, ScriptedPod(answer_soon) as other:
        pods = [await spot.enter_async_context(ScriptedPod(answer_soon)) for _ in range(2)]
        async with asyncio.timeout(TIMEOUT_SECONDS), spot_envoy(launch_envoy, [other], pods) as (envoy, stub):

            async def call() -> None:
                while not vanished.is_set() or len(other.ids) < 10 * CALLERS:
                    codes[await classify(stub, BATCH)] += 1

            callers = [asyncio.create_task(call()) for _ in range(CALLERS)]
            while sum(len(pod.ids) for pod in pods) < 2 * CALLERS:  # noqa: ASYNC110 - Envoy calls the pods
                await asyncio.sleep(0.01)
            assert not other.ids
            await spot.aclose()  # with calls in flight, and before a health check notices it
            vanished.set()
            await asyncio.gather(*callers)
            await until_healthy(envoy, "spot", 0)
            assert await classify(stub, BATCH) is grpc.StatusCode.OK
    assert set(codes) == {grpc.StatusCode.OK}, codes


async def test_readers_do_not_use_spot_pods(launch_envoy: EnvoyLauncher) -> None:
    async with (
        ScriptedPod(answer_soon) as other,
        ScriptedPod(answer_soon) as pod,
        spot_envoy(launch_envoy, [other], [pod]) as (envoy, stub),
    ):
        await other.set_health(serving=False)
        await until_healthy(envoy, "sidecars", 0)
        assert await classify(stub) is grpc.StatusCode.UNAVAILABLE
        assert await classify(stub, BATCH) is grpc.StatusCode.OK
        assert len(pod.ids) == 1
