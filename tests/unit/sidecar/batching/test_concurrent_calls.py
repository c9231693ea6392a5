"""Calls that slow each other down: goodput on a virtual clock, and when a slot stays empty."""

import asyncio

import numpy as np
import pytest
from undertone_planner.fleet.clock import run
from undertone_sidecar.batching import Request
from undertone_sidecar.batching.cost import CostModel
from undertone_sidecar.batching.slots import Slots
from undertone_sidecar.batching.start import Start
from undertone_sidecar.errors import OverloadedError

from tests.unit.sidecar.support.simulated_pod import NEVER, Model, Pod, open_loop, retrying_callers, unloaded_cpu
from tests.unit.support.batcher import predict_call

DEADLINE = 0.5
LOAD = 3

TWO_FIT = Model(0.012, 0.368 / 512, (512,), contention=0.15)
"""A call of one paragraph takes 0.38 s, and 0.44 s beside another one."""

ONE_FITS = Model(0.012, 0.438 / 512, (512,), contention=0.12)
"""A call takes 0.45 s, and 0.504 s beside another one, which is too long."""

SHARED_CORES = Model(0.012, 0.488 / 512, (512,), run_cores=2)
"""A call uses both cores. It takes 0.25 s, and 0.5 s beside another one."""

ONE_SLOT = Model(0.012, 0.488 / 512, (512,), run_cores=2, slots=1)

MODELS = {"two fit": TWO_FIT, "one fits": ONE_FITS, "shared cores": SHARED_CORES, "one slot": ONE_SLOT}


@pytest.mark.parametrize("name", MODELS)
def test_as_many_calls_run_at_once_as_the_deadlines_allow(name: str) -> None:
    """When all calls were forecast alike, the goodput was 0.14 for "one fits", because nearly all
    calls were refused, and 0.42 for "shared cores", because calls started beside others.

    Any scheduler can reach 0.49 and 0.97 there: as many calls as fit, and the gaps between random
    arrivals.
    """
    model = MODELS[name]
    result, server = open_loop(model, (DEADLINE,), LOAD)
    assert result.goodput >= 0.85 * model.largest_goodput(DEADLINE, LOAD)
    assert result.cpu_seconds <= 1.2 * unloaded_cpu(model)
    assert server.max_runs <= model.slots
    assert result.refused_too_late == 0


@pytest.mark.parametrize("deadlines", [(2.0,), (NEVER,), (DEADLINE, 2.0), (DEADLINE, 2.0, NEVER)], ids=str)
@pytest.mark.parametrize("name", ["one fits", "shared cores"])
def test_calls_that_must_run_alone_do_not_keep_slots_empty_while_other_requests_wait(
    name: str, deadlines: tuple[float, ...]
) -> None:
    result, _ = open_loop(MODELS[name], deadlines, LOAD)
    assert result.goodput >= 0.9
    assert result.cpu_seconds <= 1.2 * unloaded_cpu(MODELS[name])


def test_callers_who_retry_at_once_get_as_many_answers() -> None:
    assert retrying_callers(SHARED_CORES, (DEADLINE,), 4, seconds=8).goodput >= 0.9


def request(pod: Pod, deadline_seconds: float) -> Request:
    return Request(np.zeros(512, np.int32), 512, 1, pod.loop.time() + deadline_seconds)


async def measured_pod() -> Pod:
    pod = Pod(SHARED_CORES, noise=0.0)
    await pod.warm_up()
    for _ in range(8):  # The difference between one and two calls can be measured only in turns.
        for calls in (1, 1, 1, 1, 2, 2):
            await asyncio.gather(*(pod.call(NEVER) for _ in range(calls)))
    return pod


@pytest.mark.parametrize("leaves", [False, True])
def test_a_slot_stays_empty_while_a_further_call_would_break_a_deadline(leaves: bool) -> None:
    """A call takes 0.25 s, and twice as long beside another one. It was sent 0.15 s late, so that
    it must be alone for the first 0.16 s. Without a deadline, it may take longer.
    """

    async def main() -> None:
        pod = await measured_pod()
        (short,) = pod.batcher.submit([request(pod, DEADLINE - 0.15)])
        await asyncio.sleep(0.05)
        (patient,) = pod.batcher.submit([request(pod, NEVER)])
        await asyncio.sleep(0.05)
        assert pod.server.runs == 1
        if leaves:
            short.cancel()
            pod.batcher.submit([request(pod, NEVER)])
        await asyncio.sleep(0.01 if leaves else 0.08)
        assert pod.server.runs == 2
        await patient
        if not leaves:
            assert short.result().predict_seconds <= DEADLINE - 0.15
        await pod.batcher.close()

    run(main())


def test_a_request_waits_for_a_call_that_is_alone_if_it_cannot_run_beside_another_one() -> None:
    async def main() -> None:
        pod = await measured_pod()
        (running,) = pod.batcher.submit([request(pod, NEVER)])
        await asyncio.sleep(0.1)
        started = pod.loop.time()
        (short,) = pod.batcher.submit([request(pod, DEADLINE)])
        with pytest.raises(OverloadedError, match="the answer needs about"):
            pod.batcher.submit([request(pod, DEADLINE)])
        await asyncio.sleep(0.01)
        assert pod.server.runs == 1
        await running
        await short
        assert pod.loop.time() - started == pytest.approx(0.15 + 0.25, abs=0.01)
        await pod.batcher.close()

    run(main())


def test_the_cost_model_distinguishes_few_and_many_calls_at_once() -> None:
    cost = CostModel(slots=4)
    for _ in range(10):
        cost.observe(512, 0.2, 1.0)
    assert cost.seconds(512, at_once=4) == pytest.approx(cost.seconds(512, at_once=1))
    for _ in range(20):
        for _ in range(4):
            cost.observe(512, 0.3, 3.6)
        for _ in range(4):
            cost.observe(512, 0.2, 1.0)
    assert cost.seconds(512, at_once=1) == cost.seconds(512, at_once=2) == pytest.approx(0.2, rel=0.01)
    assert cost.seconds(512) == cost.seconds(512, at_once=3) == pytest.approx(0.3, rel=0.01)
    assert cost.slowdown(2) == pytest.approx(1.5, rel=0.01)
    assert cost.slowdown(1) == cost.slowdown(3) == 1


def test_starts_are_now_and_after_the_end_of_each_call() -> None:
    cost = CostModel(slots=3)
    for _ in range(10):
        cost.observe(16, 1.0)
    slots = Slots(3, cost)
    assert slots.starts(5.0) == [Start(0.0, 1)]
    calls = [predict_call(5.0), predict_call(5.4)]
    for call in calls:
        slots.start(call)
    starts = slots.starts(5.5)
    assert [start.at_once for start in starts] == [3, 2, 1]
    assert [start.seconds for start in starts] == pytest.approx([0.0, 0.5, 0.9], abs=0.01)
    slots.start(predict_call(5.5))
    assert [start.at_once for start in slots.starts(5.5)] == [3, 2, 1]
    assert slots.hold_seconds(5.5) == 0
    assert [slots.mean_calls(call, 6.0) for call in calls] == pytest.approx([2.1, 2 + 5 / 6])
