"""A pod that answers UNAVAILABLE, because its model server is lost, costs no call."""

import asyncio
from collections import Counter

import grpc
import pytest
from undertone_protos.v1 import classifier_pb2
from undertone_sidecar.scoring import HEALTH_CHECK_FAIL

from tests.integration.support.callers import Stub, classify_code
from tests.integration.support.envoy import EnvoyLauncher
from tests.integration.support.scripted_pod import Context, ScriptedPod, envoy_for

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
SLOW_CHECKS = {"intervalSeconds": 4}
"""Health checks that are too slow to notice the loss of a model server in these tests."""


class Model:
    """Answers calls after 20 ms until `lost` is set, and then refuses them, as the sidecar does."""

    def __init__(self) -> None:
        self.lost = asyncio.Event()
        self.refused = 0

    async def __call__(self, request: classifier_pb2.ClassifyRequest, context: Context) -> classifier_pb2.ClassifyResponse:
        try:
            await asyncio.wait_for(self.lost.wait(), 0.02)
        except TimeoutError:
            return classifier_pb2.ClassifyResponse(id=request.id)
        self.refused += 1
        await context.abort(UNAVAILABLE, "no model is available", ((HEALTH_CHECK_FAIL, "true"),))
        raise AssertionError("abort returned")


@pytest.mark.parametrize("in_flight", [8, 32])
async def test_the_loss_of_one_of_two_model_servers_fails_no_call(launch_envoy: EnvoyLauncher, in_flight: int) -> None:
    model, other_model = Model(), Model()
    codes: Counter[grpc.StatusCode] = Counter()
    async with (
        ScriptedPod(model) as pod,
        ScriptedPod(other_model) as other,
        envoy_for(launch_envoy, [pod, other], healthCheck=SLOW_CHECKS) as (envoy, stub),
    ):
        answered = 0

        async def call(number: int) -> None:
            while not (model.lost.is_set() and len(other.ids) > answered + 10 * in_flight):
                codes[await classify_code(stub, str(number))] += 1

        callers = [asyncio.create_task(call(number)) for number in range(in_flight)]
        while len(pod.ids) < 2 * in_flight:  # noqa: ASYNC110 - Envoy calls the pod
            await asyncio.sleep(0.01)
        answered = len(other.ids)
        await pod.set_health(serving=False)
        model.lost.set()
        await asyncio.gather(*callers)
        assert await asyncio.to_thread(envoy.used) == {other.port}
    assert set(codes) == {grpc.StatusCode.OK}
    # The calls that were in flight, and those that Envoy sent before it read the first reply.
    assert 0 < model.refused < 3 * in_flight


async def test_without_any_model_server_calls_fail_at_once(launch_envoy: EnvoyLauncher) -> None:
    model = Model()
    model.lost.set()

    async def call(stub: Stub) -> tuple[grpc.StatusCode, set[str]]:
        failed = stub.Classify(classifier_pb2.ClassifyRequest(text="rain"))
        return await failed.code(), {key for key, _ in await failed.trailing_metadata()}

    async with (
        ScriptedPod(model) as pod,
        ScriptedPod(model) as other,
        envoy_for(launch_envoy, [pod, other], healthCheck=SLOW_CHECKS) as (envoy, stub),
    ):
        results = await asyncio.gather(*(call(stub) for _ in range(40)))
        await asyncio.to_thread(envoy.until_used, [])
        attempts = model.refused
        results.append(await call(stub))
    assert {code for code, _ in results} == {UNAVAILABLE}
    assert attempts == model.refused <= 3 * 40
    # The header is for this Envoy only. A caller's own Envoy would stop calling this one.
    assert not any(HEALTH_CHECK_FAIL in keys for _, keys in results)
