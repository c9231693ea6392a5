"""Retry decisions, with a fixed clock and fixed random numbers."""

import math
from collections.abc import Callable

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_client.errors import SettingsError, pushback_seconds
from undertone_client.resilience.retry import BudgetSettings, OverloadGrace, RetryBudget, RetryPolicy, RetryTransport
from undertone_client.transport import CallState, Mode, Reply, Request

from tests.unit.support.faults import no_sleep

UNAVAILABLE, EXHAUSTED = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED
RETRYABLE = {UNAVAILABLE, EXHAUSTED, grpc.StatusCode.CANCELLED}


class NeverUsed:
    """The inner transport of tests that only ask for decisions."""

    async def send(self, request: Request, call: CallState) -> Reply:
        raise AssertionError


def retry(
    policy: RetryPolicy | None = None,
    *,
    budget: RetryBudget | None = None,
    grace: OverloadGrace | None = None,
    may_recover: Callable[[], bool] = lambda: False,
    random: float = 1.0,
    clock: Callable[[], float] = lambda: 0.0,
) -> RetryTransport:
    return RetryTransport(
        NeverUsed(),
        policy or RetryPolicy(),
        budget or RetryBudget(BudgetSettings()),
        grace or OverloadGrace(300.0, clock),
        may_recover=may_recover,
        emit=lambda event: None,
        random=lambda: random,
        sleep=no_sleep,
        clock=clock,
    )


def waits(transport: RetryTransport, call: CallState, status: grpc.StatusCode = UNAVAILABLE) -> list[float]:
    found: list[float] = []
    while (wait := transport.record_failure(status, None, call)) is not None and len(found) < 1000:
        found.append(wait)
    return found


def test_waits_double_up_to_the_maximum_and_then_end() -> None:
    policy = RetryPolicy(attempts=6, initial_seconds=0.5, multiplier=2, max_seconds=3)
    assert waits(retry(policy), CallState()) == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_full_jitter_may_choose_no_wait() -> None:
    assert waits(retry(random=0.0), CallState()) == [0.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("status", list(grpc.StatusCode))
def test_retryable_statuses_are_retried_and_deadline_exceeded_in_batch_mode_only(status: grpc.StatusCode, mode: Mode) -> None:
    retryable = RETRYABLE | ({grpc.StatusCode.DEADLINE_EXCEEDED} if mode is Mode.BATCH else set())
    assert bool(waits(retry(), CallState(mode), status)) == (status in retryable)


def test_pushback_is_the_shortest_wait() -> None:
    transport = retry(RetryPolicy(initial_seconds=0.2), random=0.5)
    assert transport.record_failure(EXHAUSTED, 7.0, CallState()) == pytest.approx(7.1)


def test_the_jitter_on_top_of_pushback_grows_and_is_largest_when_the_budget_is_spent() -> None:
    transport, call = retry(), CallState()
    assert [transport.record_failure(EXHAUSTED, 1.0, call) for _ in range(4)] == pytest.approx([1.2, 1.4, 1.8, 2.6])
    spent = RetryBudget(BudgetSettings(tokens=2, ratio=1))
    assert retry(budget=spent).record_failure(EXHAUSTED, 1.0, CallState()) == 1.0 + RetryPolicy().max_seconds


def test_refusals_do_not_count_against_a_batch_during_the_grace_period() -> None:
    now = 1000.0

    def clock() -> float:
        return now

    transport, call = retry(grace=OverloadGrace(60, clock), clock=clock), CallState()
    for _ in range(60):
        assert transport.record_failure(EXHAUSTED, None, call) is not None
        now += 1
    assert (call.counted_failures, call.overload_refusals) == (0, 60)
    assert len(waits(transport, call, EXHAUSTED)) == RetryPolicy().attempts - 1
    assert waits(transport, CallState(Mode.ONLINE), EXHAUSTED) == []  # the budget is spent


def test_refusals_count_against_online_calls() -> None:
    assert len(waits(retry(), CallState(Mode.ONLINE), EXHAUSTED)) == RetryPolicy().attempts - 1


def test_an_answer_starts_a_new_grace_period() -> None:
    now = 0.0
    grace, call = OverloadGrace(60, lambda: now), CallState()
    transport = retry(grace=grace)
    for _ in range(10):
        assert transport.record_failure(EXHAUSTED, None, call) is not None
        grace.reset(call)
        assert (call.overload_refusals, call.overloaded_since) == (0, None)
        now += 50
    assert call.counted_failures == 0


def test_the_grace_period_ends_for_a_call_that_is_refused_while_other_calls_are_answered() -> None:
    now = 0.0
    grace, call = OverloadGrace(60, lambda: now), CallState()
    transport = retry(grace=grace)
    while transport.record_failure(EXHAUSTED, None, call) is not None:
        now += 10
        grace.reset(CallState())
    assert 60 <= now <= 60 + 10 * RetryPolicy().attempts


def test_calls_that_start_after_the_end_of_the_grace_period_have_none_of_their_own() -> None:
    now = 0.0
    transport, first = retry(grace=OverloadGrace(60, lambda: now)), CallState()
    while transport.record_failure(EXHAUSTED, None, first) is not None:
        now += 10
    assert len(waits(transport, CallState(), EXHAUSTED)) == RetryPolicy().attempts - 1
    now += 3600  # after an hour without calls, the state of the service is unknown
    late = CallState()
    assert transport.record_failure(EXHAUSTED, None, late) is not None
    assert late.counted_failures == 0


def test_negative_pushback_forbids_a_retry() -> None:
    assert retry().record_failure(UNAVAILABLE, -1.0, CallState()) is None
    assert retry().record_failure(EXHAUSTED, -1.0, CallState()) is None


def test_no_retry_is_scheduled_after_the_deadline_of_the_call() -> None:
    assert retry(clock=lambda: 9.9).record_failure(UNAVAILABLE, None, CallState(deadline=10.0)) is None
    assert retry(clock=lambda: 9.7).record_failure(UNAVAILABLE, None, CallState(deadline=10.0)) == 0.2


def test_failures_do_not_count_against_a_batch_while_the_breaker_is_open() -> None:
    is_open = True
    transport = retry(RetryPolicy(attempts=2), may_recover=lambda: is_open)
    call = CallState(Mode.BATCH)
    assert all(transport.record_failure(UNAVAILABLE, None, call) is not None for _ in range(100))
    is_open = False
    assert len(waits(transport, call)) == 1
    is_open = True
    assert len(waits(transport, CallState(Mode.ONLINE))) <= 1


def test_without_budget_online_calls_fail_and_batches_wait_up_to_the_maximum() -> None:
    budget = RetryBudget(BudgetSettings(tokens=2, ratio=1))
    budget.record_failure()
    assert retry(budget=budget).record_failure(UNAVAILABLE, None, CallState(Mode.ONLINE)) is None
    wait = retry(budget=budget).record_failure(UNAVAILABLE, None, CallState(Mode.BATCH))
    assert wait == RetryPolicy().max_seconds


@settings(max_examples=60, deadline=None)
@given(st.lists(st.booleans(), max_size=200), st.floats(1, 50), st.floats(0.01, 1))
def test_the_budget_allows_half_of_its_tokens_and_a_share_of_the_successes(
    successes: list[bool], tokens: float, ratio: float
) -> None:
    budget = RetryBudget(BudgetSettings(tokens, ratio))
    retries = 0
    for success in successes:
        if success:
            budget.record_success()
        else:
            budget.record_failure()
            retries += budget.allows_retry
        assert 0 <= budget.tokens <= tokens
    assert retries <= tokens / 2 + ratio * successes.count(True) + 1


@pytest.mark.parametrize(
    ("trailers", "seconds"),
    [
        (None, None),
        ((("other", "1"),), None),
        ((("grpc-retry-pushback-ms", "250"),), 0.25),
        ((("grpc-retry-pushback-ms", "-1"),), -0.001),
        ((("grpc-retry-pushback-ms", "soon"),), -1.0),
    ],
)
def test_pushback_trailer(trailers: tuple[tuple[str, str], ...] | None, seconds: float | None) -> None:
    assert pushback_seconds(trailers) == seconds


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 2000), st.floats(0, 10), st.floats(1, 10))
def test_no_wait_exceeds_the_maximum(failure: int, initial: float, multiplier: float) -> None:
    policy = RetryPolicy(initial_seconds=initial, multiplier=multiplier, max_seconds=20)
    assert 0 <= policy.max_wait(failure) <= 20


@pytest.mark.parametrize(
    "invalid", [{"attempts": 0}, {"initial_seconds": -1}, {"initial_seconds": 2, "max_seconds": 1}, {"multiplier": 0.5}]
)
def test_invalid_policies_are_rejected(invalid: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match=next(iter(invalid))):
        RetryPolicy(**invalid)  # type: ignore[arg-type]


@pytest.mark.parametrize("invalid", [{"tokens": 0}, {"ratio": 0}, {"tokens": math.nan}])
def test_invalid_budgets_are_rejected(invalid: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match=next(iter(invalid))):
        BudgetSettings(**invalid)
