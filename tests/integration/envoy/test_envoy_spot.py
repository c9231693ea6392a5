"""Envoy in front of pods on spot nodes, which serve the batch lane, and of other pods."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from undertone_bench.envoy import LOOPBACK
from undertone_bench.processes import free_ports
from undertone_protos.v1 import classifier_pb2, classifier_pb2_grpc
from undertone_sidecar.testing import write_version

from tests.integration.support.callers import Stub
from tests.integration.support.envoy import Envoy, EnvoyLauncher
from tests.integration.support.processes import TIMEOUT_SECONDS
from tests.integration.support.scripted_pod import Context, ScriptedPod

BATCH = (("undertone-lane", "batch"),)
CALLERS = 16
CHECKS = {"intervalSeconds": 0.4, "timeoutSeconds": 5}


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


@pytest.mark.parametrize("notice", [True, False], ids=["a short notice", "no notice"])
async def test_no_call_is_lost_when_the_spot_pool_vanishes(
    launch_envoy: EnvoyLauncher, tmp_path: Path, *, notice: bool
) -> None:
    """With real sidecars, which drain as for a notice of 30 s, in a shorter time."""
    base = tmp_path / "emotions"
    write_version(base, 1)
    model_server = launch_envoy.fake_model_server(base.name)
    drain = ("--drain-serving-seconds=0", "--drain-delay-seconds=1", "--grace-period-seconds=10")
    ports = free_ports(2)
    other, spot = (launch_envoy.sidecar(base, model_server.target, f"--port={port}", *drain) for port in ports)
    for sidecar in (other, spot):
        await asyncio.to_thread(sidecar.until_serving)
    values = {"spot": {"enabled": True, "endpoints": [{"address": LOOPBACK, "port": ports[1]}]}}
    # Health checks notice a killed pod after some seconds. Until then, retries find the other pods.
    envoy = await asyncio.to_thread(launch_envoy.envoy, ports[:1], others=values, healthCheck=CHECKS)
    await until_healthy(envoy, "sidecars", 1)
    await until_healthy(envoy, "spot", 1)
    codes: Counter[grpc.StatusCode] = Counter()
    enough = asyncio.Event()
    async with grpc.aio.insecure_channel(envoy.target) as channel, asyncio.timeout(TIMEOUT_SECONDS):
        stub = classifier_pb2_grpc.ClassifierStub(channel)

        async def call() -> None:
            while not enough.is_set():
                codes[await classify(stub, BATCH)] += 1

        async def until_more_calls() -> None:
            wanted = codes.total() + 4 * CALLERS
            while codes.total() < wanted:  # noqa: ASYNC110 - other tasks count
                await asyncio.sleep(0.01)

        callers = [asyncio.create_task(call()) for _ in range(CALLERS)]
        await until_more_calls()
        if notice:
            spot.signal(signal.SIGTERM)
            assert await asyncio.to_thread(spot.wait) == 0  # all accepted calls were answered
        else:
            spot.kill()
        await until_more_calls()
        await until_healthy(envoy, "spot", 0)
        await until_more_calls()
        enough.set()
        await asyncio.gather(*callers)
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
