"""Slots and normalized latencies. test_resilient_transport.py tests slots with a service."""

import asyncio
import functools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_client.resilience.limit import AttemptOutcome, Fixed
from undertone_client.resilience.slots import LatencyNormalizer, Slots


async def all_slots_taken(limit: int) -> Slots:
    slots = Slots(Fixed(limit), lambda event: None)
    for _ in range(limit):
        await slots.acquire()
    return slots


async def start_waiting(slots: Slots, count: int) -> list[asyncio.Task[None]]:
    waiting = [asyncio.create_task(slots.acquire()) for _ in range(count)]
    await asyncio.sleep(0)
    assert slots.waiting == count
    return waiting


def release(slots: Slots) -> None:
    slots.release(0.1, 100, AttemptOutcome.OK)


@pytest.mark.parametrize("cancel_first", [True, False])
async def test_a_slot_is_not_lost_when_a_waiting_attempt_is_cancelled_as_it_is_released(cancel_first: bool) -> None:
    slots = await all_slots_taken(1)
    cancelled, next_in_line = await start_waiting(slots, 2)
    for step in (cancelled.cancel, lambda: release(slots)) if cancel_first else (lambda: release(slots), cancelled.cancel):
        step()
    await next_in_line
    assert cancelled.cancelled()
    assert (slots.in_flight, slots.waiting) == (1, 0)
    release(slots)
    assert slots.in_flight == 0


async def test_slots_are_assigned_in_the_order_of_arrival() -> None:
    slots = await all_slots_taken(1)
    order: list[int] = []
    for number, attempt in enumerate(await start_waiting(slots, 3)):
        attempt.add_done_callback(functools.partial(lambda number, _: order.append(number), number))
    for _ in range(3):
        release(slots)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert order == [0, 1, 2]


@settings(max_examples=20, deadline=None)
@given(st.floats(0, 5), st.floats(0.0001, 0.01), st.integers(0, 99))
def test_latency_that_the_size_explains_is_removed(base: float, per_byte: float, seed: int) -> None:
    normalizer = LatencyNormalizer()
    generator = random.Random(seed)
    sizes = [generator.randint(1000, 10_000) for _ in range(800)]
    learned = [normalizer.normalize(base + per_byte * size, size) for size in sizes][400:]
    assert max(learned) <= 1.3 * min(learned)
    congested = normalizer.normalize(2 * (base + per_byte * 5000), 5000)
    assert congested > 1.5 * max(learned)


def test_latencies_of_equal_sizes_are_unchanged() -> None:
    normalizer = LatencyNormalizer()
    assert [normalizer.normalize(seconds, 500) for seconds in (1.0, 2.0, 0.5)] == [1.0, 2.0, 0.5]
