"""Slots for Predict calls, alone and in the batcher."""

import asyncio
import math
from collections import Counter

import numpy as np
import pytest
from undertone_planner.fleet.clock import run
from undertone_sidecar.activity import Activity
from undertone_sidecar.batching import BatchLimits, MicroBatcher, Request, Scored
from undertone_sidecar.batching.cost import CostModel
from undertone_sidecar.batching.slots import Slots
from undertone_sidecar.errors import ModelServerLostError, SidecarError, status_of
from undertone_sidecar.testing import FakeBackend, FakeClock, SimulatedModelServer

from tests.unit.support.batcher import first_ids, make_batcher, predict_call, request, submit


def test_a_refusal_reduces_the_slots_to_the_other_calls_and_each_hundred_answers_add_one() -> None:
    slots, calls = Slots(4, CostModel()), [predict_call() for _ in range(3)]
    for call in calls:
        slots.start(call)
    assert slots.free == 1
    slots.on_refused()
    for call in calls:
        slots.end(call, 5.0)
    free = [slots.free]
    for _ in range(400):
        slots.on_answered()
        free.append(slots.free)
    assert free == [2] * 100 + [3] * 100 + [4] * 201
    assert slots.idle_seconds(7.0) == 2.0


async def test_neither_a_deadline_nor_a_cancellation_ends_a_call_or_frees_its_slot() -> None:
    backend, clock = FakeBackend(), FakeClock()
    backend.hold()
    batcher = make_batcher(backend, clock)
    first, second = submit(batcher, request(10, deadline=1.0)), submit(batcher, request(10))
    await backend.wait_for_calls()
    first.cancel()
    second.cancel()
    clock.advance(5.0)
    third = submit(batcher, request(10, first=3))
    await asyncio.sleep(0.01)
    assert (backend.in_flight, len(backend.batches), backend.timeouts) == (1, 1, [None])
    backend.release()
    await third
    assert first_ids(backend.batches) == [1, 1, 3]
    await batcher.close()


def test_a_call_that_exceeds_its_maximum_fails_for_its_callers_and_keeps_its_slot() -> None:
    async def main() -> None:
        backend, activity = FakeBackend(), Activity()
        backend.hold()
        batcher = make_batcher(backend, activity=activity, call_seconds=5)
        stuck, queued = submit(batcher, request(10)), submit(batcher, request(500))
        for result in (stuck, queued):
            with pytest.raises(ModelServerLostError, match=r"has not finished a call in 5 s: retry later"):
                await result
        assert (activity.overdue, activity.completed, backend.in_flight) == (1, 0, 1)
        backend.release()
        assert isinstance(await submit(batcher, request(10)), Scored)
        assert (activity.overdue, activity.completed) == (0, 2)
        await batcher.close()

    run(main())  # A virtual clock, on which the last call is never late.


def test_a_model_server_with_fewer_threads_than_slots_gets_fewer_calls() -> None:
    """TF Serving runs N - 1 calls with --grpc_max_threads=N, and refuses further calls."""

    async def main() -> tuple[Counter[str], int]:
        server = SimulatedModelServer(cores=2, threads=2, call_seconds=0.01, token_seconds=0.001)
        limits = BatchLimits(budget=1024, slots=4, queue_tokens=10**6, batch_share=0.1)
        batcher = MicroBatcher(server, limits, call_seconds=30, margin_seconds=0.01, clock=asyncio.get_running_loop().time)
        codes = Counter[str]()

        async def call() -> None:
            try:
                await batcher.submit([Request(np.zeros(512, np.int32), 512, 1, math.inf)])[0]
                codes["OK"] += 1
            except SidecarError as error:
                codes[status_of(error).code.name] += 1

        await asyncio.gather(*(call() for _ in range(150)))
        await batcher.close()
        return codes, server.max_runs

    codes, runs = run(main())
    assert runs == 2
    assert codes["OK"] >= 140
    assert codes["RESOURCE_EXHAUSTED"] == 150 - codes["OK"]
