import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from undertone_protos.v1 import classifier_pb2
from undertone_sidecar.health import CLASSIFIER
from undertone_sidecar.testing import Pod, running_pod

REQUEST = classifier_pb2.ClassifyRequest(text="the rain had stopped")

STARTED = 'grpc_server_started_total{grpc_method="Classify"'


@pytest.fixture
async def pod(base: Path) -> AsyncIterator[Pod]:
    async with running_pod(base) as started:
        yield started


async def call_in_drain(pod: Pod) -> "grpc.aio.UnaryUnaryCall[classifier_pb2.ClassifyRequest, classifier_pb2.ClassifyResponse]":
    """A call that hangs, in a pod that drains."""
    pod.serving.hold()
    call = pod.stub.Classify(REQUEST)
    await pod.serving.hanging.wait()
    pod.stop.set()
    await pod.wait_health(serving=False)
    return call


async def test_accepted_calls_are_finished(pod: Pod) -> None:
    pod.serving.hold()
    calls = [pod.stub.Classify(REQUEST) for _ in range(20)]
    await pod.wait_metric(STARTED, 20)
    pod.stop.set()
    await pod.wait_health(serving=False)
    pod.serving.release()
    assert [await call.code() for call in calls] == [grpc.StatusCode.OK] * 20
    assert await pod.run is True


async def test_calls_are_accepted_during_the_drain_delay(base: Path) -> None:
    async with running_pod(base, drain_delay_seconds=25) as pod:
        pod.stop.set()
        await pod.wait_health(serving=False)
        assert await pod.stub.Classify(REQUEST).code() is grpc.StatusCode.OK
        pod.force_stop.set()
        await pod.run


async def test_health_stays_serving_until_load_balancers_know_other_pods(base: Path) -> None:
    serving, not_serving = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
    async with running_pod(base, drain_serving_seconds=0.3, drain_delay_seconds=25) as pod:
        stub = health_pb2_grpc.HealthStub(pod.channel)
        watches = [stub.Watch(health_pb2.HealthCheckRequest(service=service)) for service in ("", CLASSIFIER)]
        pod.stop.set()
        codes = [await pod.stub.Classify(REQUEST).code()]
        for watch in watches:
            assert (await watch.read()).status == serving
            assert (await watch.read()).status == not_serving
            codes.append(await pod.stub.Classify(REQUEST).code())
        pod.force_stop.set()
        await pod.run
    assert codes == [grpc.StatusCode.OK] * 3


async def test_a_sidecar_that_was_never_ready_drains_at_once(base: Path) -> None:
    async with running_pod(
        base, ready=False, drain_serving_seconds=600, drain_delay_seconds=600, grace_period_seconds=1200
    ) as pod:
        pod.stop.set()
        assert await pod.run is True


async def test_new_calls_are_refused_while_accepted_calls_are_finished(pod: Pod) -> None:
    call = await call_in_drain(pod)
    while await pod.stub.Classify(REQUEST, timeout=1).code() is not grpc.StatusCode.UNAVAILABLE:
        pass
    pod.serving.release()
    assert await call.code() is grpc.StatusCode.OK
    assert await pod.run is True


async def test_calls_fail_after_the_drain(pod: Pod) -> None:
    pod.stop.set()
    assert await pod.run is True
    assert await pod.stub.Classify(REQUEST).code() is grpc.StatusCode.UNAVAILABLE


async def test_a_health_watcher_does_not_delay_the_drain(pod: Pod) -> None:
    watching = asyncio.create_task(pod.wait_health(serving=True, service="no.such.Service"))
    await pod.wait_health(serving=True)
    pod.stop.set()
    assert await pod.run is True
    with pytest.raises(grpc.aio.AioRpcError):
        await watching


async def test_force_stop_ends_the_drain_at_once(pod: Pod) -> None:
    call = await call_in_drain(pod)
    pod.force_stop.set()
    assert await pod.run is False
    assert await call.code() is not grpc.StatusCode.OK


async def test_the_grace_period_ends_the_drain(base: Path) -> None:
    async with running_pod(base, grace_period_seconds=0.2) as pod:
        pod.serving.hold()
        call = pod.stub.Classify(REQUEST)
        await pod.serving.hanging.wait()
        pod.stop.set()
        assert await pod.run is False
        assert await call.code() is not grpc.StatusCode.OK
