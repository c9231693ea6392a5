"""When a call is tried again, with a clock and a die that are passed in."""

import math
from collections.abc import Callable

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_client.errors import SettingsError, pushback_seconds
from undertone_client.resilience import BudgetSettings, Mode, Progress, Retry, RetryBudget, RetryPolicy

UNAVAILABLE, EXHAUSTED = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED
PASSING = {UNAVAILABLE, EXHAUSTED, grpc.StatusCode.CANCELLED}


def retry(
    policy: RetryPolicy | None = None,
    *,
    budget: RetryBudget | None = None,
    down: Callable[[], bool] = lambda: False,
    patience: float = 300.0,
    random: float = 1.0,
    clock: Callable[[], float] = lambda: 0.0,
) -> Retry:
    return Retry(
        policy or RetryPolicy(),
        budget or RetryBudget(BudgetSettings()),
        down=down,
        patience_seconds=patience,
        random=lambda: random,
        clock=clock,
    )


def waits(own: Retry, progress: Progress, status: grpc.StatusCode = UNAVAILABLE) -> list[float]:
    found: list[float] = []
    while (wait := own.wait(status, None, progress)) is not None and len(found) < 1000:
        found.append(wait)
    return found


def test_waits_double_up_to_the_largest_and_end() -> None:
    policy = RetryPolicy(attempts=6, initial_seconds=0.5, multiplier=2, max_seconds=3)
    assert waits(retry(policy), Progress()) == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_full_jitter_may_wait_for_nothing() -> None:
    assert waits(retry(random=0.0), Progress()) == [0.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("status", list(grpc.StatusCode))
def test_failures_that_may_pass_are_retried_and_a_deadline_only_where_nobody_waits(status: grpc.StatusCode, mode: Mode) -> None:
    passing = PASSING | ({grpc.StatusCode.DEADLINE_EXCEEDED} if mode is Mode.BATCH else set())
    assert bool(waits(retry(), Progress(mode), status)) == (status in passing)


def test_pushback_is_the_least_wait() -> None:
    own = retry(RetryPolicy(initial_seconds=0.2), random=0.5)
    assert own.wait(EXHAUSTED, 7.0, Progress()) == pytest.approx(7.1)


def test_the_wait_after_pushback_grows_as_others_and_knows_of_the_spent_budget() -> None:
    own, progress = retry(), Progress()
    assert [own.wait(EXHAUSTED, 1.0, progress) for _ in range(4)] == pytest.approx([1.2, 1.4, 1.8, 2.6])
    spent = RetryBudget(BudgetSettings(tokens=2, ratio=1))
    assert retry(budget=spent).wait(EXHAUSTED, 1.0, Progress()) == 1.0 + RetryPolicy().max_seconds


def test_a_batch_that_is_refused_for_want_of_room_costs_nothing_until_patience_ends() -> None:
    now = 1000.0
    own, progress = retry(patience=60, clock=lambda: now), Progress()
    for _ in range(60):
        assert own.wait(EXHAUSTED, None, progress) is not None
        now += 1
    assert (progress.strikes, progress.refusals) == (0, 60)
    assert len(waits(own, progress, EXHAUSTED)) == RetryPolicy().attempts - 1
    assert waits(own, Progress(Mode.ONLINE), EXHAUSTED) == []  # the budget is spent; online, refusals always count


def test_online_calls_pay_for_refusals() -> None:
    assert len(waits(retry(), Progress(Mode.ONLINE), EXHAUSTED)) == RetryPolicy().attempts - 1


def test_patience_begins_anew_when_something_is_answered() -> None:
    now = 0.0
    own, progress = retry(patience=60, clock=lambda: now), Progress()
    for _ in range(10):
        assert own.wait(EXHAUSTED, None, progress) is not None
        own.advanced(progress)
        assert (progress.refusals, progress.refused_since) == (0, None)
        now += 50
    assert progress.strikes == 0


def test_a_call_that_is_refused_while_others_are_answered_comes_to_an_end() -> None:
    now = 0.0
    own, progress = retry(patience=60, clock=lambda: now), Progress()
    while own.wait(EXHAUSTED, None, progress) is not None:
        now += 10
        own.advanced(Progress())
    assert 60 <= now <= 60 + 10 * RetryPolicy().attempts


def test_calls_that_come_when_patience_has_ended_need_none_of_their_own() -> None:
    now = 0.0
    own, first = retry(patience=60, clock=lambda: now), Progress()
    while own.wait(EXHAUSTED, None, first) is not None:
        now += 10
    assert len(waits(own, Progress(), EXHAUSTED)) == RetryPolicy().attempts - 1
    now += 3600  # nothing was asked for an hour, so nothing is known
    late = Progress()
    assert own.wait(EXHAUSTED, None, late) is not None
    assert late.strikes == 0


def test_negative_pushback_forbids_a_retry() -> None:
    assert retry().wait(UNAVAILABLE, -1.0, Progress()) is None
    assert retry().wait(EXHAUSTED, -1.0, Progress()) is None


def test_nothing_is_tried_after_the_deadline_of_the_whole_call() -> None:
    assert retry(clock=lambda: 9.9).wait(UNAVAILABLE, None, Progress(deadline=10.0)) is None
    assert retry(clock=lambda: 9.7).wait(UNAVAILABLE, None, Progress(deadline=10.0)) == 0.2


def test_while_the_service_is_down_a_batchs_failures_are_not_counted_against_it() -> None:
    down = True
    own = retry(RetryPolicy(attempts=2), down=lambda: down)
    progress = Progress(Mode.BATCH)
    assert all(own.wait(UNAVAILABLE, None, progress) is not None for _ in range(100))
    down = False
    assert len(waits(own, progress)) == 1
    down = True
    assert len(waits(own, Progress(Mode.ONLINE))) <= 1


def test_without_budget_online_calls_fail_and_batches_wait_the_longest() -> None:
    budget = RetryBudget(BudgetSettings(tokens=2, ratio=1))
    budget.failed()
    assert retry(budget=budget).wait(UNAVAILABLE, None, Progress(Mode.ONLINE)) is None
    assert retry(budget=budget).wait(UNAVAILABLE, None, Progress(Mode.BATCH)) == RetryPolicy().max_seconds


@settings(max_examples=60, deadline=None)
@given(st.lists(st.booleans(), max_size=200), st.floats(1, 50), st.floats(0.01, 1))
def test_the_budget_allows_half_of_its_tokens_and_a_share_of_the_successes(
    ends: list[bool], tokens: float, ratio: float
) -> None:
    budget = RetryBudget(BudgetSettings(tokens, ratio))
    retries = 0
    for worked in ends:
        if worked:
            budget.succeeded()
        else:
            budget.failed()
            retries += budget.allows
        assert 0 <= budget.tokens <= tokens
    assert retries <= tokens / 2 + ratio * ends.count(True) + 1


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
def test_no_wait_is_longer_than_the_largest(failure: int, initial: float, multiplier: float) -> None:
    policy = RetryPolicy(initial_seconds=initial, multiplier=multiplier, max_seconds=20)
    assert 0 <= policy.ceiling(failure) <= 20


@pytest.mark.parametrize(
    "wrong", [{"attempts": 0}, {"initial_seconds": -1}, {"initial_seconds": 2, "max_seconds": 1}, {"multiplier": 0.5}]
)
def test_impossible_policies_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match="needed"):
        RetryPolicy(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [{"tokens": 0}, {"ratio": 0}, {"tokens": math.nan}])
def test_impossible_budgets_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        BudgetSettings(**wrong)
