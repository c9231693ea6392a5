import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from undertone_protos.v1 import classifier_pb2
from undertone_sidecar.testing import Pod, pod

PARAGRAPH = classifier_pb2.ClassifyRequest(text="the rain had stopped")


STARTED = 'grpc_server_started_total{grpc_method="Classify"'


@pytest.fixture
async def house(base: Path) -> AsyncIterator[Pod]:
    async with pod(base) as built:
        yield built


async def test_everything_accepted_is_finished(house: Pod) -> None:
    house.serving.hold()
    calls = [house.stub.Classify(PARAGRAPH) for _ in range(20)]
    await house.until_metric(STARTED, 20)
    house.stop.set()
    await house.until(serving=False)
    house.serving.release()
    assert [await call.code() for call in calls] == [grpc.StatusCode.OK] * 20
    assert await house.run is True


async def test_calls_are_accepted_while_the_balancer_looks_away(base: Path) -> None:
    async with pod(base, drain_delay_seconds=25) as house:
        house.stop.set()
        await house.until(serving=False)
        assert await house.stub.Classify(PARAGRAPH).code() is grpc.StatusCode.OK
        house.hurry.set()
        await house.run


async def test_newcomers_are_sent_elsewhere_while_the_rest_is_finished(house: Pod) -> None:
    house.serving.hold()
    call = house.stub.Classify(PARAGRAPH)
    await house.serving.hanging.wait()
    house.stop.set()
    await house.until(serving=False)
    while await house.stub.Classify(PARAGRAPH, timeout=1).code() is not grpc.StatusCode.UNAVAILABLE:
        pass
    house.serving.release()
    assert await call.code() is grpc.StatusCode.OK
    assert await house.run is True


async def test_nothing_is_accepted_after_the_drain(house: Pod) -> None:
    house.stop.set()
    assert await house.run is True
    assert await house.stub.Classify(PARAGRAPH).code() is grpc.StatusCode.UNAVAILABLE


async def test_a_health_watcher_does_not_hold_the_drain_up(house: Pod) -> None:
    watching = asyncio.create_task(house.until(serving=True, service="no.such.Service"))
    await house.until(serving=True)
    house.stop.set()
    assert await house.run is True
    with pytest.raises(grpc.aio.AioRpcError):
        await watching


async def test_a_second_signal_ends_at_once(house: Pod) -> None:
    house.serving.hold()
    call = house.stub.Classify(PARAGRAPH)
    await house.serving.hanging.wait()
    house.stop.set()
    await house.until(serving=False)
    house.hurry.set()
    assert await house.run is False
    assert await call.code() is not grpc.StatusCode.OK


async def test_the_grace_period_is_the_end(base: Path) -> None:
    async with pod(base, grace_period_seconds=0.2) as house:
        house.serving.hold()
        call = house.stub.Classify(PARAGRAPH)
        await house.serving.hanging.wait()
        house.stop.set()
        assert await house.run is False
        assert await call.code() is not grpc.StatusCode.OK
