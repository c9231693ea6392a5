import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from undertone_protos.v1 import classifier_pb2
from undertone_sidecar.testing import Pod, pod

PARAGRAPH = classifier_pb2.ClassifyRequest(text="the rain had stopped")


@pytest.fixture
async def house(base: Path) -> AsyncIterator[Pod]:
    async with pod(base, drain_delay_seconds=0.05) as built:
        yield built


async def test_everything_accepted_is_finished(house: Pod) -> None:
    house.serving.hold()
    calls = [house.stub.Classify(PARAGRAPH) for _ in range(20)]
    await house.serving.hanging.wait()
    house.stop.set()
    await house.until(serving=False)
    late = house.stub.Classify(PARAGRAPH)
    house.serving.release()
    assert [await call.code() for call in (*calls, late)] == [grpc.StatusCode.OK] * 21
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
