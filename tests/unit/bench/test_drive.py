import asyncio
import itertools
import random
from statistics import mean, stdev

import pytest
from undertone_bench.drive import closed_loop, open_loop, poisson


class Clock:
    """Time that goes on only where somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        end = self.now + seconds
        await asyncio.sleep(0)  # in which others may take longer
        self.now = max(self.now, end)


def test_poisson_arrivals_have_the_rate_and_no_memory() -> None:
    times = poisson(50.0, 400.0, random.Random(3))
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert len(times) / 400 == pytest.approx(50, rel=0.05)
    assert all(0 <= time < 400 for time in times)
    assert times == sorted(times)
    assert stdev(gaps) / mean(gaps) == pytest.approx(1, abs=0.05)  # as of an exponential distribution, and of no regular one


async def test_an_open_loop_counts_latency_from_when_the_call_was_due() -> None:
    clock = Clock()

    async def slow(item: str) -> bool:
        clock.now += 2.0  # and so the next call, due meanwhile, starts late
        return item != "b"

    answers = await open_loop(slow, ["a", "b"], [0.5, 1.0, 5.0], clock=clock, sleep=clock.sleep)
    assert [answer.item for answer in answers] == ["a", "b", "a"]
    assert [answer.ok for answer in answers] == [True, False, True]
    assert [answer.seconds for answer in answers] == pytest.approx([2.0, 3.5, 2.0])


async def test_a_closed_loop_keeps_so_many_calls_running() -> None:
    running, most = 0, 0

    async def call(_: int) -> bool:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return True

    answers = await closed_loop(call, range(20), 4)
    assert most == 4
    assert sorted(answer.item for answer in answers) == list(range(20))
