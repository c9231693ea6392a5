"""Concurrency limits, as properties of random samples and against simulated services."""

import heapq
import itertools
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_client.errors import SettingsError
from undertone_client.resilience.limit import Aimd, AttemptOutcome, Fixed, Gradient, Limit, LimitAlgorithm, LimitSettings

OK, OVERLOAD, IGNORE = AttemptOutcome.OK, AttemptOutcome.OVERLOAD, AttemptOutcome.IGNORE
SAMPLES = st.lists(
    st.tuples(st.floats(0, 100), st.floats(0, 1.5), st.sampled_from([OK, OK, OK, OVERLOAD, IGNORE])), max_size=400
)
ADAPTIVE: list[type[Aimd | Gradient]] = [Aimd, Gradient]

N = TypeVar("N", int, float)


@dataclass
class Service:
    """A simulated service: servers with one queue. A full queue, and a random fault, refuse a call
    after 5 ms.

    Args:
        servers: number of servers, by time.
        seconds: mean duration of a call, by time.
        queue: largest length of the queue.
        faults: probability of a fault.
    """

    servers: Callable[[float], int]
    seconds: Callable[[float], float]
    queue: float = math.inf
    faults: float = 0.0

    def run(self, limit: Limit, seconds: float) -> float:
        """The throughput in calls per second, with as many calls in flight as the limit allows."""
        generator = random.Random(7)
        now, successes, number, busy, backing_off = 0.0, 0, 0, 0, 0
        in_flight = 0
        queue: list[float] = []
        events: list[tuple[float, int, float, str]] = []

        def schedule(time: float, kind: str, sent: float) -> None:
            nonlocal number
            number += 1
            heapq.heappush(events, (time, number, sent, kind))

        def serve(sent: float) -> None:
            nonlocal busy
            busy += 1
            schedule(now + self.seconds(now) * generator.uniform(0.8, 1.2), "answered", sent)

        while now < seconds:
            while in_flight < limit.value and in_flight + backing_off <= 2 * limit.value:
                in_flight += 1
                if generator.random() < self.faults or len(queue) >= self.queue:
                    schedule(now + 0.005, "refused", now)
                elif busy < self.servers(now):
                    serve(now)
                else:
                    queue.append(now)
            now, _, sent, kind = heapq.heappop(events)
            if kind == "retry":
                backing_off -= 1
                continue
            limit.observe(now - sent, in_flight, OK if kind == "answered" else OVERLOAD)
            in_flight -= 1
            if kind == "answered":
                busy, successes = busy - 1, successes + 1
                while queue and busy < self.servers(now):
                    serve(queue.pop(0))
            else:
                backing_off += 1
                schedule(now + generator.uniform(0, 0.4), "retry", now)
        return successes / seconds


def always(value: N) -> Callable[[float], N]:
    return lambda now: value


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(ADAPTIVE), st.integers(1, 20), st.integers(0, 100), SAMPLES)
def test_a_limit_stays_within_its_range(
    kind: type[Aimd | Gradient], initial: int, more: int, samples: list[tuple[float, float, AttemptOutcome]]
) -> None:
    limit = kind(initial, initial + more)
    for rtt, share, outcome in samples:
        value = limit.observe(rtt, max(1, round(share * limit.value)), outcome)
        assert 1 <= value == limit.value <= initial + more


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(ADAPTIVE), st.integers(2, 40), st.integers(1, 40), st.integers(10, 500))
def test_an_unused_limit_does_not_grow(kind: type[Aimd | Gradient], initial: int, used: int, calls: int) -> None:
    limit = kind(initial, 1000)
    for _ in range(calls):
        limit.observe(0.1, min(used, limit.value), OK)
    assert limit.value <= max(initial, 2 * used, used + math.isqrt(used) + 1)  # one step beyond what is used


@pytest.mark.parametrize("kind", ADAPTIVE)
def test_cancellations_are_ignored(kind: type[Aimd | Gradient]) -> None:
    limit = kind(8, 100)
    for _ in range(500):
        assert limit.observe(99.0, 8, IGNORE) == 8


@pytest.mark.parametrize("kind", ADAPTIVE)
def test_constant_overload_lowers_the_limit_to_1_and_successes_raise_it(kind: type[Aimd | Gradient]) -> None:
    limit = kind(64, 128)
    for _ in range(1000):
        limit.observe(0.01, limit.value, OVERLOAD)
    assert limit.value == 1
    for _ in range(3000):
        limit.observe(0.01, limit.value, OK)
    assert limit.value > 30


def test_a_fixed_limit_is_constant() -> None:
    limit = Fixed(75)
    assert {limit.observe(rtt, 75, outcome) for rtt in (0.1, 9.0) for outcome in AttemptOutcome} == {75}


@pytest.mark.parametrize("servers", [1, 8, 48])
def test_gradient_uses_the_capacity_and_keeps_the_queue_short(servers: int) -> None:
    limit = Gradient(4, 1000)
    service = Service(lambda now: servers, always(0.3))
    assert service.run(limit, 200) > 0.95 * servers / 0.3
    assert servers <= limit.value <= 3 * servers + 6


def test_gradient_reaches_a_large_service_in_a_few_round_trips() -> None:
    limit = Gradient()
    Service(servers=always(100), seconds=always(0.1)).run(limit, 1.5)
    assert limit.value >= 100


def test_gradient_probes_less_often_while_the_best_latency_is_stable() -> None:
    limit = Gradient(maximum=100)
    probes = [0]
    for number in range(200_000):
        before = limit.value
        if limit.observe(0.1, limit.value, OK) == before // 4 < before:
            probes.append(number)
    gaps = [after - before for before, after in itertools.pairwise(probes)]
    assert gaps[0] < gaps[1] < gaps[2] == gaps[-1]  # but never stops


def test_gradient_adapts_to_a_service_that_scales_up_and_down() -> None:
    limit = Gradient(4, 1000)
    assert Service(lambda now: 8, always(0.3)).run(limit, 100) > 0.95 * 8 / 0.3
    assert Service(lambda now: 32, always(0.3)).run(limit, 100) > 0.9 * 32 / 0.3
    assert Service(lambda now: 4, always(0.3)).run(limit, 100) > 0.95 * 4 / 0.3
    assert limit.value < 30


def test_gradient_does_not_starve_a_service_that_became_slower() -> None:
    limit = Gradient(4, 1000)
    Service(lambda now: 16, always(0.3)).run(limit, 100)
    slower = Service(lambda now: 16, always(0.9))
    slower.run(limit, 150)  # until it has probed again
    assert slower.run(limit, 200) > 0.93 * 16 / 0.9


def test_gradient_tolerates_random_faults() -> None:
    assert Service(lambda now: 32, always(0.3), faults=0.05).run(Gradient(4, 1000), 200) > 0.93 * 32 / 0.3
    assert Service(lambda now: 32, always(0.3), faults=0.05).run(Aimd(4, 1000), 200) < 0.5 * 32 / 0.3


@pytest.mark.parametrize("kind", ADAPTIVE)
def test_a_service_with_a_short_queue_is_kept_busy(kind: type[Aimd | Gradient]) -> None:
    service = Service(lambda now: 16, always(0.3), queue=4)
    limit = kind(4, 1000)
    assert service.run(limit, 200) > 0.9 * 16 / 0.3
    assert limit.value < 30


def test_limit_settings_are_parsed() -> None:
    assert LimitSettings.parse("adaptive") == LimitSettings()
    assert LimitSettings.parse("aimd").algorithm is LimitAlgorithm.AIMD
    assert LimitSettings.parse("75").build().value == 75
    for invalid in ("", "0", "-1", "fixed", "many", "1.5"):
        with pytest.raises(SettingsError, match="use adaptive, aimd or a number"):
            LimitSettings.parse(invalid)
    with pytest.raises(SettingsError, match="initial limit 9, maximum 8"):
        LimitSettings(initial=9, max_in_flight=8)
