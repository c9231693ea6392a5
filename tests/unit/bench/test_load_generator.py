import asyncio
import itertools
import random
from statistics import mean, stdev

import pytest
from undertone_bench.errors import BenchError
from undertone_bench.load_generator import arrivals_to_measure, closed_loop, open_loop, poisson_arrivals


class FakeClock:
    """A clock that only `sleep` advances."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        end = self.now + seconds
        await asyncio.sleep(0)  # other tasks may advance the clock further
        self.now = max(self.now, end)


def test_poisson_arrivals_have_the_rate_and_exponential_gaps() -> None:
    times = poisson_arrivals(50.0, 400.0, random.Random(3))
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert len(times) / 400 == pytest.approx(50, rel=0.05)
    assert all(0 <= time < 400 for time in times)
    assert times == sorted(times)
    assert stdev(gaps) / mean(gaps) == pytest.approx(1, abs=0.05)  # an exponential distribution has 1


def test_a_load_without_a_call_is_refused() -> None:
    assert arrivals_to_measure(50.0, 1.0, random.Random(3), "--load") == poisson_arrivals(50.0, 1.0, random.Random(3))
    with pytest.raises(BenchError, match=r"no call was due in 2 s at 0\.001 calls/s: increase --seconds or --load$"):
        arrivals_to_measure(0.001, 2.0, random.Random(3), "--load")


async def test_open_loop_counts_latency_from_the_arrival_time() -> None:
    clock = FakeClock()

    async def call(item: str) -> bool:
        clock.now += 2.0  # the next arrival is due meanwhile, so its call starts late
        return item != "b"

    results = await open_loop(call, ["a", "b"], [0.5, 1.0, 5.0], clock=clock, sleep=clock.sleep)
    assert [result.item for result in results] == ["a", "b", "a"]
    assert [result.ok for result in results] == [True, False, True]
    assert [result.seconds for result in results] == pytest.approx([2.0, 3.5, 2.0])


async def test_closed_loop_keeps_the_number_of_calls_in_flight() -> None:
    in_flight, maximum = 0, 0

    async def call(_: int) -> bool:
        nonlocal in_flight, maximum
        in_flight += 1
        maximum = max(maximum, in_flight)
        await asyncio.sleep(0)
        in_flight -= 1
        return True

    results = await closed_loop(call, range(20), 4)
    assert maximum == 4
    assert sorted(result.item for result in results) == list(range(20))
