"""The chain of deadlines: caller, Envoy's attempts, sidecar."""

import asyncio

import grpc
import grpc.aio
from undertone_protos.v1 import classifier_pb2, classifier_pb2_grpc

from tests.integration.envoy.conftest import Fleet
from tests.integration.support.envoy import EnvoyLauncher
from tests.integration.support.processes import TIMEOUT_SECONDS


async def test_a_sidecar_answers_before_envoy_gives_up_the_attempt(launch_envoy: EnvoyLauncher, fleet: Fleet) -> None:
    """Otherwise, an overloaded fleet gets each call three times: once for each attempt of Envoy."""
    envoy = await asyncio.to_thread(launch_envoy.envoy, fleet.sidecars, timeouts={"attemptSeconds": {"Classify": 1}})
    await asyncio.to_thread(envoy.until_used, fleet.sidecars)
    async with grpc.aio.insecure_channel(envoy.target) as channel:
        stub = classifier_pb2_grpc.ClassifierStub(channel)
        with fleet.model_server.paused():
            calls = [stub.Classify(classifier_pb2.ClassifyRequest(text="rain"), timeout=TIMEOUT_SECONDS) for _ in range(8)]
            codes = await asyncio.gather(*(call.code() for call in calls))
    assert set(codes) == {grpc.StatusCode.DEADLINE_EXCEEDED}
    assert envoy.statistic("cluster.sidecars.upstream_rq_per_try_timeout") == 0
    assert envoy.statistic("cluster.sidecars.upstream_rq_retry") == 0
