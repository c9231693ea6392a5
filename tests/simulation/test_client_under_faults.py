"""The client against a faulty fleet: each paragraph has exactly one correct outcome."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import grpc
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from undertone_client import BudgetSettings, CallCounts, Failure, HedgingSettings, Paragraph, Settings
from undertone_client.resilience import BreakerSettings, BreakerState, LimitSettings, RetryPolicy
from undertone_planner.fleet.clock import run
from undertone_planner.fleet.faults import FaultRates
from undertone_planner.fleet.fleet import Fleet, FleetSettings, Probes
from undertone_planner.fleet.nodes import NodePoolSettings
from undertone_planner.fleet.pod import PodSettings, ServiceTime
from undertone_planner.fleet.transport import fleet_client

from tests.simulation.support.answers import assert_answered, paragraphs
from tests.simulation.support.scenario import Report, score

SENT = paragraphs(2000)
MANY_ATTEMPTS = Settings(retry=RetryPolicy(attempts=30), timeout_seconds=20)
"""So many attempts that random faults do not use them up; a failure is then a defect."""

ALL_FAULTS = FaultRates(unavailable=0.03, reset=0.02, lost=0.005, cancelled=0.01, exhausted=0.03, refused_items=0.03)

RETRIED = ("unavailable", "reset", "cancelled", "exhausted")
"""Faults that a call in `Mode.ONLINE` retries."""

Accident = tuple[float, int, str]
ACCIDENTS = st.tuples(st.floats(0, 20), st.integers(0, 3), st.sampled_from(["kill", "hang", "slow"]))
"""Seconds since the previous accident, index of the pod, and kind."""


def failed_attempts(counts: CallCounts) -> int:
    """Attempts that failed or refused a part of their paragraphs."""
    return counts.errors + sum(counts.refused.values())


def utilization(report: Report, fleet: FleetSettings, items: int) -> float:
    """Utilization of the fleet until 90 % of the paragraphs have an outcome, in calls of `items`
    paragraphs.

    The last 10 % are excluded, because the queue runs empty.
    """
    speed = fleet.pod.service_time
    counted = len(report.outcomes) * 9 // 10
    tokens = sum(len(outcome.paragraph.text.split()) + 2 for outcome in report.outcomes[:counted])
    work = counted / items * speed.seconds_per_call + tokens * speed.seconds_per_token
    return work / fleet.pods / report.arrivals[counted]


@pytest.mark.parametrize("fault", [*FaultRates.__slots__])
@pytest.mark.parametrize("share", [0.05, 0.3])
def test_one_kind_of_fault(fault: str, share: float) -> None:
    async def disturb(fleet: Fleet) -> None:
        fleet.fault_rates = FaultRates(**{fault: share})

    report = score(SENT[:600], settings=replace(MANY_ATTEMPTS, batch_items=8), disturb=disturb)
    assert_answered(SENT[:600], report.outcomes)
    assert report.state.counts.retried > 0
    assert report.state.counts.recovered > 0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("ordered", [True, False])
def test_all_faults_at_once(seed: int, ordered: bool) -> None:
    async def disturb(fleet: Fleet) -> None:
        fleet.fault_rates = ALL_FAULTS
        await asyncio.sleep(4)
        fleet.kill(fleet.pods[0])
        await asyncio.sleep(4)
        fleet.pods[1].hung = True
        await asyncio.sleep(4)
        fleet.pods[2].slowdown = 5
        await fleet.rolling_restart()

    report = score(SENT, settings=MANY_ATTEMPTS, disturb=disturb, seed=seed, ordered=ordered)
    assert_answered(SENT, report.outcomes)
    if ordered:
        assert [outcome.paragraph for outcome in report.outcomes] == SENT


def test_the_same_seed_gives_the_same_history() -> None:
    async def disturb(fleet: Fleet) -> None:
        fleet.fault_rates = ALL_FAULTS
        await asyncio.sleep(5)
        fleet.kill(fleet.pods[0])

    one, other = (score(SENT[:1000], settings=MANY_ATTEMPTS, disturb=disturb, seed=7) for _ in range(2))
    assert one.arrivals == other.arrivals
    assert [outcome.paragraph.id for outcome in one.outcomes] == [outcome.paragraph.id for outcome in other.outcomes]
    assert (one.limits, one.breaker, one.state) == (other.limits, other.breaker, other.state)


@examples(max_examples=15, deadline=None)
@given(
    st.integers(0, 10_000),
    st.fixed_dictionaries({fault: st.floats(0, 0.12) for fault in FaultRates.__slots__}),
    st.lists(ACCIDENTS, max_size=4),
    st.sampled_from([LimitSettings(), LimitSettings.parse("aimd"), LimitSettings.fixed(6)]),
)
def test_random_faults_and_accidents(
    seed: int, shares: dict[str, float], accidents: list[Accident], limit: LimitSettings
) -> None:
    async def disturb(fleet: Fleet) -> None:
        await asyncio.sleep(0.1)  # GetModel succeeds first
        fleet.fault_rates = FaultRates(**shares)
        for seconds, index, kind in accidents:
            await asyncio.sleep(seconds)
            pod = fleet.pods[index]
            if kind == "kill":
                fleet.kill(pod)
            elif kind == "hang":
                pod.hung = True
            else:
                pod.slowdown = 8

    settings = Settings(retry=RetryPolicy(attempts=60), timeout_seconds=20, limit=limit, batch_items=8)
    report = score(SENT[:300], settings=settings, disturb=disturb, seed=seed)
    assert_answered(SENT[:300], report.outcomes)
    assert report.state.counts.recovered == failed_attempts(report.state.counts)
    assert report.state.in_flight == report.state.waiting == report.state.backing_off == 0


@examples(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.fixed_dictionaries({fault: st.floats(0, 0.2) for fault in RETRIED}), st.integers(2, 4))
def test_errors_of_hedged_calls_are_recovered(seed: int, shares: dict[str, float], attempts: int) -> None:
    settings = Settings(
        retry=RetryPolicy(attempts=1000),
        budget=BudgetSettings(tokens=10_000),
        breaker=BreakerSettings(consecutive_failures=10_000, failure_rate=1.0),
        hedging=HedgingSettings(delay_seconds=0.05, attempts=attempts),
    )

    async def classify() -> CallCounts:
        async with Fleet(FleetSettings(), seed=seed) as fleet, fleet_client(fleet, settings, seed=seed) as client:
            fleet.fault_rates = FaultRates(**shares)
            await asyncio.gather(*(client.classify(paragraph) for paragraph in SENT[:60]))
            return client.state().counts

    counts = run(classify())
    assert counts.hedged > 0
    assert counts.recovered == failed_attempts(counts)


def test_a_rolling_restart_fails_no_call() -> None:
    async def disturb(fleet: Fleet) -> None:
        await fleet.rolling_restart()

    report = score(SENT, disturb=disturb)
    assert_answered(SENT, report.outcomes)
    assert set(report.state.counts.attempts) == {"OK"}


@pytest.mark.parametrize("drain", [True, False])
def test_reclaimed_nodes_lose_no_paragraph(drain: bool) -> None:
    async def disturb(fleet: Fleet) -> None:
        for _ in range(3):
            await asyncio.sleep(5)
            await fleet.reclaim_share(0.5, 4, drain=drain)

    nodes = NodePoolSettings(cpus=2, scan_seconds=1, boot_seconds=5, image_pull_seconds=2, spot=True)
    fleet = FleetSettings(pod=PodSettings(load_seconds=3), nodes=nodes)
    report = score(SENT, fleet=fleet, settings=Settings(batch_items=8), disturb=disturb)
    assert_answered(SENT, report.outcomes)
    # With a notice that is long enough to drain, no call fails.
    assert drain == (set(report.state.counts.attempts) == {"OK"})


def test_an_outage_of_minutes_costs_few_calls_and_no_paragraph() -> None:
    async def disturb(fleet: Fleet) -> None:
        await asyncio.sleep(5)
        for pod in fleet.pods:
            fleet.kill(pod)

    fleet = FleetSettings(pod=PodSettings(load_seconds=200))
    report = score(SENT, fleet=fleet, settings=Settings(batch_items=16), disturb=disturb)
    assert_answered(SENT, report.outcomes)
    assert report.seconds > 205
    failed = sum(count for status, count in report.state.counts.attempts.items() if status != "OK")
    assert failed < 60  # the calls in flight and one probe per 15 s
    assert [state for _, state in report.breaker][:2] == [BreakerState.OPEN, BreakerState.HALF_OPEN]
    assert report.breaker[-1][1] is BreakerState.CLOSED


def test_a_permanent_outage_fails_the_paragraphs_after_the_patience() -> None:
    async def disturb(fleet: Fleet) -> None:
        await asyncio.sleep(5)
        fleet.fault_rates = FaultRates(unavailable=1.0)

    settings = Settings(breaker=BreakerSettings(patience_seconds=120), batch_items=16)
    report = score(SENT, settings=settings, disturb=disturb)
    failed = [outcome.paragraph.id for outcome in report.outcomes if isinstance(outcome, Failure)]
    assert 0 < len(failed) < len(SENT)
    assert_answered(SENT, report.outcomes, failing=failed)
    assert {outcome.status for outcome in report.outcomes if isinstance(outcome, Failure)} == {grpc.StatusCode.UNAVAILABLE}
    assert 120 <= report.seconds <= 600


@pytest.mark.parametrize("pushback_ms", [None, 200])
@pytest.mark.parametrize("fault", ["exhausted", "refused_items"])
def test_30_s_of_resource_exhausted_lose_nothing(fault: str, pushback_ms: int | None) -> None:
    async def disturb(fleet: Fleet) -> None:
        await asyncio.sleep(0.1)  # GetModel succeeds first
        fleet.fault_rates, fleet.pushback_ms = FaultRates(**{fault: 1.0}), pushback_ms
        await asyncio.sleep(30)
        fleet.fault_rates = FaultRates()

    report = score(SENT, disturb=disturb)
    assert_answered(SENT, report.outcomes)
    assert report.seconds > 30
    counts = report.state.counts
    refused = counts.attempts.get("RESOURCE_EXHAUSTED", 0) + counts.refused.get("RESOURCE_EXHAUSTED", 0)
    assert 5 < refused < 250  # with back-off between attempts
    assert not report.breaker


@pytest.mark.parametrize("fault", ["exhausted", "refused_items"])
def test_permanent_resource_exhausted_fails_the_paragraphs_after_the_patience(fault: str) -> None:
    async def disturb(fleet: Fleet) -> None:
        await asyncio.sleep(2)
        fleet.fault_rates = FaultRates(**{fault: 1.0})

    settings = Settings(breaker=BreakerSettings(patience_seconds=120), batch_items=1)
    report = score(SENT[:400], settings=settings, disturb=disturb)
    failed = [outcome.paragraph.id for outcome in report.outcomes if isinstance(outcome, Failure)]
    assert 0 < len(failed) < 400
    assert_answered(SENT[:400], report.outcomes, failing=failed)
    failures = [
        (seconds, outcome)
        for seconds, outcome in zip(report.arrivals, report.outcomes, strict=True)
        if isinstance(outcome, Failure)
    ]
    assert {outcome.status for _, outcome in failures} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert 122 < failures[0][0] < 240
    # Later calls fail at once: patience is shared. Waiting anew for each would take hours.
    assert report.seconds < 120 * 60


@pytest.mark.parametrize("status", [grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL])
def test_only_poisoned_paragraphs_fail(status: grpc.StatusCode) -> None:
    poisoned = {SENT[index].id: SENT[index].text for index in (0, 17, 18, 400, 999)}

    async def disturb(fleet: Fleet) -> None:
        fleet.fault_rates = FaultRates(unavailable=0.05)
        fleet.poison = dict.fromkeys(poisoned.values(), status)

    report = score(SENT[:1000], settings=MANY_ATTEMPTS, disturb=disturb)
    assert_answered(SENT[:1000], report.outcomes, failing=poisoned)
    assert {outcome.status for outcome in report.outcomes if isinstance(outcome, Failure)} == {status}
    # The final calls with one poisoned paragraph each, and random faults of these calls.
    unrecovered = failed_attempts(report.state.counts) - report.state.counts.recovered
    assert len(poisoned) <= unrecovered <= 2 * len(poisoned)
    # Bisecting 32 paragraphs takes about two calls for each of five halvings.
    assert report.state.counts.attempts[status.name] <= 7 * len(poisoned)


def test_one_small_pod_is_saturated_without_restarts() -> None:
    """The pod fails its probes with more than twelve calls in flight."""
    probes = Probes(seconds_per_call=0.08, timeout_seconds=1.0, readiness_failures=2, liveness_failures=3)
    fleet = FleetSettings(pods=1, pod=PodSettings(ServiceTime(0.01, 0.001), queue=64), probes=probes)
    report = score(SENT, fleet=fleet)
    assert_answered(SENT, report.outcomes)
    assert report.restarts == 0
    assert utilization(report, fleet, 32) > 0.9

    overloaded = score(SENT, fleet=fleet, settings=replace(MANY_ATTEMPTS, limit=LimitSettings.fixed(32), timeout_seconds=60))
    assert_answered(SENT, overloaded.outcomes)
    assert overloaded.restarts > 0


def test_short_queues_are_saturated_without_opening_the_breaker() -> None:
    fleet = FleetSettings(pods=2, pod=PodSettings(ServiceTime(0.01, 0.001), queue=1))
    sent = paragraphs(4000)
    report = score(sent, fleet=fleet, settings=MANY_ATTEMPTS)
    assert_answered(sent, report.outcomes)
    assert report.state.counts.attempts["RESOURCE_EXHAUSTED"] > 0
    assert not report.breaker
    assert utilization(report, fleet, 32) > 0.85


def test_the_limit_does_not_grow_while_the_caller_does_not_use_it() -> None:
    async def slow_source() -> AsyncIterator[Paragraph]:
        for paragraph in SENT[:500]:
            await asyncio.sleep(0.2)
            yield paragraph

    report = score(slow_source())
    assert_answered(SENT[:500], report.outcomes)
    assert max((value for _, value in report.limits), default=4) <= 8


def test_one_slow_pod_does_not_slow_the_others() -> None:
    async def disturb(fleet: Fleet) -> None:
        fleet.pods[0].slowdown = 10

    fleet = FleetSettings(pods=8, pod=PodSettings(ServiceTime(0.01, 0.001)))
    sent = paragraphs(12_000)
    report = score(sent, fleet=fleet, settings=Settings(batch_items=16), disturb=disturb)
    assert_answered(sent, report.outcomes)
    # 0.89 is the maximum with one pod at a tenth of the speed; 0.1 if all calls waited for it.
    # Envoy draws two pods with replacement, so a call in 64 goes to the slow pod whatever its load.
    assert utilization(report, fleet, 16) > 0.45
