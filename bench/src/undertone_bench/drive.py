"""Load: calls that come when they come, and calls that come when others are answered."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """`seconds` from when the call was due to its answer; not `ok` if it was refused or failed."""

    item: T
    seconds: float
    ok: bool


def poisson(rate: float, seconds: float, source: random.Random) -> list[float]:
    """Times, in seconds from the start, at which calls come that know nothing of each other, `rate` a second on average."""
    times = []
    now = source.expovariate(rate)
    while now < seconds:
        times.append(now)
        now += source.expovariate(rate)
    return times


async def open_loop(
    call: Callable[[T], Awaitable[bool]],
    items: Sequence[T],
    times: Sequence[float],
    *,
    clock: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> list[Answer[T]]:
    """Makes a call at each of the times, whatever has become of those before. `items` are used in turn.

    Latency counts from the time at which the call was due, so that a late start does not flatter it.
    """
    started = clock()
    answers: list[Answer[T]] = []

    async def one(item: T, due: float) -> None:
        ok = await call(item)
        answers.append(Answer(item, clock() - started - due, ok))

    async with asyncio.TaskGroup() as calls:
        for number, due in enumerate(times):
            await sleep(max(0.0, started + due - clock()))
            calls.create_task(one(items[number % len(items)], due))
    return answers


async def closed_loop(
    call: Callable[[T], Awaitable[bool]],
    items: Iterable[T],
    concurrency: int,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Answer[T]]:
    """Makes a call for each item, `concurrency` at once: the next as soon as one is answered."""
    rest = iter(items)
    answers: list[Answer[T]] = []

    async def caller() -> None:
        for item in rest:
            due = clock()
            ok = await call(item)
            answers.append(Answer(item, clock() - due, ok))

    async with asyncio.TaskGroup() as callers:
        for _ in range(concurrency):
            callers.create_task(caller())
    return answers
