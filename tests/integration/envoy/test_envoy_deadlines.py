"""The chain of deadlines: caller, Envoy's attempts, sidecar."""

import asyncio

import grpc
import grpc.aio
from undertone_protos.v1 import classifier_pb2, classifier_pb2_grpc

from tests.integration.envoy.conftest import Fleet
from tests.integration.support.envoy import EnvoyLauncher
from tests.integration.support.processes import TIMEOUT_SECONDS


async def test_a_sidecar_answers_before_envoy_gives_up_the_attempt(launch_envoy: EnvoyLauncher, fleet: Fleet) -> None:
    """Otherwise, an overloaded fleet gets each call three times: once for each attempt of Envoy.

    The sidecar has a tenth of the attempt for its reply. The second attempt is for slow machines.
    """
    retries = []
    for seconds in (2, 20):
        envoy = await asyncio.to_thread(launch_envoy.envoy, fleet.sidecars, timeouts={"attemptSeconds": {"Classify": seconds}})
        await asyncio.to_thread(envoy.until_used, fleet.sidecars)
        async with grpc.aio.insecure_channel(envoy.target) as channel:
            stub = classifier_pb2_grpc.ClassifierStub(channel)
            with fleet.model_server.paused():
                requests = (classifier_pb2.ClassifyRequest(text="rain") for _ in range(8))
                codes = await asyncio.gather(*(stub.Classify(each, timeout=TIMEOUT_SECONDS).code() for each in requests))
        assert set(codes) == {grpc.StatusCode.DEADLINE_EXCEEDED}
        names = ("upstream_rq_per_try_timeout", "upstream_rq_retry")
        retries.append(sum(envoy.statistic(f"cluster.sidecars.{name}") for name in names))
        if retries[-1] == 0:
            break
    assert retries[-1] == 0, retries
