"""Open-loop and closed-loop load."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from undertone_bench.errors import BenchError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CallResult(Generic[T]):
    """Result of one call. `seconds` counts from the time at which the call was due."""

    item: T
    seconds: float
    ok: bool


def poisson_arrivals(rate: float, seconds: float, source: random.Random) -> list[float]:
    """Arrival times below `seconds` of a Poisson process with `rate` arrivals per second."""
    times = []
    now = source.expovariate(rate)
    while now < seconds:
        times.append(now)
        now += source.expovariate(rate)
    return times


def arrivals_to_measure(rate: float, seconds: float, source: random.Random, option: str) -> list[float]:
    """The times of `poisson_arrivals`, of which there is at least one.

    `option` is the option of the command that sets the rate, such as "--load".

    Raises:
        BenchError: No call is due in this time.
    """
    if times := poisson_arrivals(rate, seconds, source):
        return times
    raise BenchError(f"no call was due in {seconds:g} s at {rate:g} calls/s: increase --seconds or {option}")


async def open_loop(
    call: Callable[[T], Awaitable[bool]],
    items: Sequence[T],
    arrivals: Sequence[float],
    *,
    clock: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> list[CallResult[T]]:
    """Start a call at each arrival time, independently of earlier calls. Repeats `items` if needed.

    Latency counts from the arrival time, so that a late start counts as latency (no coordinated
    omission).
    """
    started = clock()
    results: list[CallResult[T]] = []

    async def run(item: T, due: float) -> None:
        ok = await call(item)
        results.append(CallResult(item, clock() - started - due, ok))

    async with asyncio.TaskGroup() as calls:
        for number, due in enumerate(arrivals):
            await sleep(max(0.0, started + due - clock()))
            calls.create_task(run(items[number % len(items)], due))
    return results


async def closed_loop(
    call: Callable[[T], Awaitable[bool]],
    items: Iterable[T],
    concurrency: int,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> list[CallResult[T]]:
    """Make one call per item with `concurrency` callers. Each starts its next call on an answer."""
    remaining = iter(items)
    results: list[CallResult[T]] = []

    async def caller() -> None:
        for item in remaining:
            due = clock()
            ok = await call(item)
            results.append(CallResult(item, clock() - due, ok))

    async with asyncio.TaskGroup() as callers:
        for _ in range(concurrency):
            callers.create_task(caller())
    return results
