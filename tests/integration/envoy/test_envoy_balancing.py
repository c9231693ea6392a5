"""Load balancing: the calls of one connection go to all available pods."""

import asyncio
import itertools
import signal
from collections.abc import Iterable

import grpc
from undertone_protos.v1 import classifier_pb2

from tests.integration.envoy.conftest import Fleet
from tests.integration.support.callers import Stub, ask, paragraphs, under_load
from tests.integration.support.envoy import Envoy
from tests.integration.support.processes import Sidecar

TEXTS = paragraphs(64, longest=8)


def count_answered(sidecars: Iterable[Sidecar]) -> list[float]:
    """Successful calls of each sidecar so far."""
    return [sidecar.metric("grpc_server_handled_total", grpc_method="Classify", grpc_code="OK") for sidecar in sidecars]


async def send_at_rate(stub: Stub, *, a_second: int, calls: int) -> list[grpc.StatusCode]:
    """Sends calls at a fixed rate, whatever their duration. Returns the codes of failed calls."""
    failures = []

    async def call(text: str) -> None:
        try:
            await ask(stub, text)
        except grpc.aio.AioRpcError as error:
            failures.append(error.code())

    async with asyncio.TaskGroup() as group:
        for text in itertools.islice(itertools.cycle(TEXTS), calls):
            group.create_task(call(text))
            await asyncio.sleep(1 / a_second)
    return failures


async def test_the_calls_of_one_channel_are_spread_evenly(stub: Stub, fleet: Fleet) -> None:
    before = count_answered(fleet.sidecars.values())
    # With many concurrent calls, a pod that is slow on a busy machine would get fewer of them.
    async with under_load(stub, TEXTS, callers=3) as load:
        await load.more_replies(2400)
    assert load.refusals == []
    shares = [now - then for now, then in zip(count_answered(fleet.sidecars.values()), before, strict=True)]
    even = sum(shares) / len(shares)
    assert all(abs(share - even) <= 0.1 * even for share in shares), shares


async def test_a_hung_pod_gets_no_calls_until_it_recovers(stub: Stub, envoy: Envoy, fleet: Fleet) -> None:
    (_, hung), *others = fleet.sidecars.items()
    # All calls may go to the pod when it hangs, so there are no more than the retry budget covers.
    async with under_load(stub, TEXTS, callers=3) as load:
        await load.more_replies(100)
        with hung.paused():
            await asyncio.to_thread(envoy.until_used, dict(others))
            await load.more_replies(100)
        await asyncio.to_thread(envoy.until_used, fleet.sidecars)
        before = count_answered([hung])
        await load.more_replies(100)
        await asyncio.to_thread(hung.until, lambda: count_answered([hung]) > before, "the pod answers again")
    assert load.refusals == []


async def test_a_pod_that_drains_under_load_fails_no_call(stub: Stub, envoy: Envoy, fleet: Fleet) -> None:
    (_, drained), *others = fleet.sidecars.items()
    load = asyncio.create_task(send_at_rate(stub, a_second=200, calls=700))
    await asyncio.sleep(0.5)
    drained.signal(signal.SIGTERM)
    assert await asyncio.to_thread(drained.wait) == 0
    await asyncio.to_thread(envoy.until_used, dict(others))
    assert not load.done(), "the load ended before the drain"
    # A replacement starts on the same port.
    drained.start()
    assert await load == []
    await asyncio.to_thread(envoy.until_used, fleet.sidecars)


async def test_a_passed_deadline_cancels_the_call_in_the_pod(channel: grpc.aio.Channel, stub: Stub, fleet: Fleet) -> None:
    request = classifier_pb2.ClassifyRequest(text="the rain")

    def running() -> int:
        return sum(sidecar.calls_running("Classify") for sidecar in fleet.sidecars.values())

    with fleet.model_server.paused():
        call = stub.Classify(request, timeout=0.5)
        assert await call.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        await asyncio.to_thread(fleet.model_server.until, lambda: running() == 0, "no pod has calls in flight")
    assert (await ask(stub, "the rain")).label
