"""Limits, driven with made-up samples: as properties, and against simulated services."""

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
from undertone_client.resilience.limit import Aimd, CallOutcome, Fixed, Gradient, Limit, LimitAlgorithm, LimitSettings
from undertone_client.resilience.slots import LatencyNormalizer

OK, OVERLOAD, IGNORE = CallOutcome.OK, CallOutcome.OVERLOAD, CallOutcome.IGNORE
SAMPLES = st.lists(
    st.tuples(st.floats(0, 100), st.floats(0, 1.5), st.sampled_from([OK, OK, OK, OVERLOAD, IGNORE])), max_size=400
)
ADAPTIVE: list[type[Aimd | Gradient]] = [Aimd, Gradient]

N = TypeVar("N", int, float)


@dataclass
class Service:
    """So many servers with a queue that all calls go through; a full queue refuses after 5 ms, as do faults of chance."""

    servers: Callable[[float], int]
    seconds: Callable[[float], float]
    queue: float = math.inf
    faults: float = 0.0

    def run(self, limit: Limit, seconds: float, offered: float = math.inf) -> float:
        """Answers per second when as many calls are kept in flight as the limit and the offer let."""
        die = random.Random(7)
        now, answers, number, busy, pausing = 0.0, 0, 0, 0, 0
        in_flight = 0
        queue: list[float] = []
        ends: list[tuple[float, int, float, str]] = []

        def at(when: float, what: str, sent: float) -> None:
            nonlocal number
            number += 1
            heapq.heappush(ends, (when, number, sent, what))

        def serve(sent: float) -> None:
            nonlocal busy
            busy += 1
            at(now + self.seconds(now) * die.uniform(0.8, 1.2), "answered", sent)

        while now < seconds:
            while in_flight < min(limit.value, offered) and in_flight + pausing <= 2 * limit.value:
                in_flight += 1
                if die.random() < self.faults or len(queue) >= self.queue:
                    at(now + 0.005, "refused", now)
                elif busy < self.servers(now):
                    serve(now)
                else:
                    queue.append(now)
            now, _, sent, what = heapq.heappop(ends)
            if what == "back":
                pausing -= 1
                continue
            limit.observe(now - sent, in_flight, OK if what == "answered" else OVERLOAD)
            in_flight -= 1
            if what == "answered":
                busy, answers = busy - 1, answers + 1
                while queue and busy < self.servers(now):
                    serve(queue.pop(0))
            else:
                pausing += 1
                at(now + die.uniform(0, 0.4), "back", now)
        return answers / seconds


def always(value: N) -> Callable[[float], N]:
    return lambda now: value


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(ADAPTIVE), st.integers(1, 20), st.integers(0, 100), SAMPLES)
def test_a_limit_stays_within_its_bounds(
    kind: type[Aimd | Gradient], initial: int, more: int, samples: list[tuple[float, float, CallOutcome]]
) -> None:
    limit = kind(initial, initial + more)
    for rtt, share, outcome in samples:
        value = limit.observe(rtt, max(1, round(share * limit.value)), outcome)
        assert 1 <= value == limit.value <= initial + more


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(ADAPTIVE), st.integers(2, 40), st.integers(1, 40), st.integers(10, 500))
def test_a_limit_that_is_not_used_does_not_grow(kind: type[Aimd | Gradient], initial: int, used: int, calls: int) -> None:
    limit = kind(initial, 1000)
    for _ in range(calls):
        limit.observe(0.1, min(used, limit.value), OK)
    assert limit.value <= max(initial, 2 * used, used + math.isqrt(used) + 1)  # one step beyond what is used


@pytest.mark.parametrize("kind", ADAPTIVE)
def test_cancellations_tell_nothing(kind: type[Aimd | Gradient]) -> None:
    limit = kind(8, 100)
    for _ in range(500):
        assert limit.observe(99.0, 8, IGNORE) == 8


@pytest.mark.parametrize("kind", ADAPTIVE)
def test_nothing_but_overload_ends_with_one_call_and_answers_bring_it_back(kind: type[Aimd | Gradient]) -> None:
    limit = kind(64, 128)
    for _ in range(1000):
        limit.observe(0.01, limit.value, OVERLOAD)
    assert limit.value == 1
    for _ in range(3000):
        limit.observe(0.01, limit.value, OK)
    assert limit.value > 30


def test_a_fixed_limit_is_fixed() -> None:
    limit = Fixed(75)
    assert {limit.observe(rtt, 75, outcome) for rtt in (0.1, 9.0) for outcome in CallOutcome} == {75}


@pytest.mark.parametrize("servers", [1, 8, 48])
def test_gradient_finds_what_a_service_can_do_and_keeps_its_queue_short(servers: int) -> None:
    limit = Gradient(4, 1000)
    service = Service(lambda now: servers, always(0.3))
    assert service.run(limit, 200) > 0.95 * servers / 0.3
    assert servers <= limit.value <= 3 * servers + 6


def test_gradient_finds_a_large_service_in_a_few_round_trips() -> None:
    limit = Gradient()
    Service(servers=always(100), seconds=always(0.1)).run(limit, 1.5)
    assert limit.value >= 100


def test_gradient_looks_for_the_best_latency_ever_more_rarely_while_it_stays_the_same() -> None:
    limit = Gradient(maximum=100)
    looks = [0]
    for number in range(200_000):
        before = limit.value
        if limit.observe(0.1, limit.value, OK) == before // 4 < before:
            looks.append(number)
    gaps = [after - before for before, after in itertools.pairwise(looks)]
    assert gaps[0] < gaps[1] < gaps[2] == gaps[-1]  # but it does not stop


def test_gradient_follows_a_service_that_grows_and_shrinks() -> None:
    limit = Gradient(4, 1000)
    assert Service(lambda now: 8, always(0.3)).run(limit, 100) > 0.95 * 8 / 0.3
    assert Service(lambda now: 32, always(0.3)).run(limit, 100) > 0.9 * 32 / 0.3
    assert Service(lambda now: 4, always(0.3)).run(limit, 100) > 0.95 * 4 / 0.3
    assert limit.value < 30


def test_gradient_does_not_starve_a_service_that_has_become_slower() -> None:
    limit = Gradient(4, 1000)
    Service(lambda now: 16, always(0.3)).run(limit, 100)
    slower = Service(lambda now: 16, always(0.9))
    slower.run(limit, 150)  # until it has looked again
    assert slower.run(limit, 200) > 0.93 * 16 / 0.9


def test_gradient_takes_no_faults_of_chance_for_congestion() -> None:
    assert Service(lambda now: 32, always(0.3), faults=0.05).run(Gradient(4, 1000), 200) > 0.93 * 32 / 0.3
    assert Service(lambda now: 32, always(0.3), faults=0.05).run(Aimd(4, 1000), 200) < 0.5 * 32 / 0.3  # what it improves on


@pytest.mark.parametrize("kind", ADAPTIVE)
def test_a_service_that_refuses_early_is_kept_busy(kind: type[Aimd | Gradient]) -> None:
    service = Service(lambda now: 16, always(0.3), queue=4)
    limit = kind(4, 1000)
    assert service.run(limit, 200) > 0.9 * 16 / 0.3
    assert limit.value < 30


@settings(max_examples=20, deadline=None)
@given(st.floats(0, 5), st.floats(0.0001, 0.01), st.integers(0, 99))
def test_latency_that_comes_with_the_work_is_taken_out(fixed: float, each: float, seed: int) -> None:
    die = random.Random(seed)
    workload = LatencyNormalizer()
    typical = [workload.normalize(fixed + each * work, work) for work in (die.randint(1000, 10_000) for _ in range(800))][400:]
    assert max(typical) <= 1.3 * min(typical)
    assert workload.normalize(2 * (fixed + each * 5000), 5000) > 1.5 * max(typical)  # congestion stays visible


def test_calls_that_are_all_alike_are_left_as_they_are() -> None:
    workload = LatencyNormalizer()
    assert [workload.normalize(seconds, 500) for seconds in (1.0, 2.0, 0.5)] == [1.0, 2.0, 0.5]


def test_what_users_write() -> None:
    assert LimitSettings.parse("adaptive") == LimitSettings()
    assert LimitSettings.parse("aimd").algorithm is LimitAlgorithm.AIMD
    assert LimitSettings.parse("75").build().value == 75
    for wrong in ("", "0", "-1", "fixed", "many", "1.5"):
        with pytest.raises(SettingsError, match="use adaptive, aimd or a number"):
            LimitSettings.parse(wrong)
    with pytest.raises(SettingsError, match="initial limit 9, maximum 8"):
        LimitSettings(initial=9, max_in_flight=8)
