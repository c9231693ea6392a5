"""Retries, with a clock and a die that are passed in."""

from collections.abc import Sequence

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_client.errors import ServiceError, SettingsError, pushback_seconds, service_error
from undertone_client.retry import RETRIED, Retry, RetryPolicy

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


class Service:
    """Fails with the given errors, one after the other, then answers."""

    def __init__(self, errors: Sequence[ServiceError]) -> None:
        self._errors = list(errors)
        self.asked = 0

    async def __call__(self) -> str:
        self.asked += 1
        if self._errors:
            raise self._errors.pop(0)
        return "answer"


class Waits:
    """Notes how long it was asked to sleep, and does not."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def failures(count: int, pushback: float | None = None) -> list[ServiceError]:
    return [service_error(UNAVAILABLE, "gone", pushback_seconds=pushback) for _ in range(count)]


async def test_an_answer_needs_no_second_attempt() -> None:
    waits, service = Waits(), Service([])
    assert await Retry(RetryPolicy(), sleep=waits).run(service) == "answer"
    assert (service.asked, waits.seconds) == (1, [])


async def test_waits_double_up_to_the_largest() -> None:
    waits = Waits()
    policy = RetryPolicy(attempts=6, initial_seconds=0.5, multiplier=2, max_seconds=3)
    assert await Retry(policy, random=lambda: 1.0, sleep=waits).run(Service(failures(5))) == "answer"
    assert waits.seconds == [0.5, 1.0, 2.0, 3.0, 3.0]


async def test_full_jitter_may_wait_for_nothing() -> None:
    waits = Waits()
    await Retry(RetryPolicy(), random=lambda: 0.0, sleep=waits).run(Service(failures(2)))
    assert waits.seconds == [0.0, 0.0]


async def test_the_last_error_is_raised_with_the_number_of_attempts() -> None:
    service = Service(failures(9))
    with pytest.raises(ServiceError, match="gone") as caught:
        await Retry(RetryPolicy(attempts=3), sleep=Waits()).run(service)
    assert (service.asked, caught.value.attempts) == (3, 3)


@pytest.mark.parametrize("status", [status for status in grpc.StatusCode if status not in RETRIED])
async def test_other_failures_are_final(status: grpc.StatusCode) -> None:
    service = Service([service_error(status, "no")])
    with pytest.raises(ServiceError):
        await Retry(RetryPolicy(), sleep=Waits()).run(service)
    assert service.asked == 1


async def test_pushback_is_the_least_wait() -> None:
    waits = Waits()
    policy = RetryPolicy(initial_seconds=0.2)
    await Retry(policy, random=lambda: 0.5, sleep=waits).run(Service(failures(1, pushback=7.0)))
    assert waits.seconds == [pytest.approx(7.1)]


async def test_negative_pushback_forbids_a_retry() -> None:
    service = Service(failures(1, pushback=-1.0))
    with pytest.raises(ServiceError):
        await Retry(RetryPolicy(), sleep=Waits()).run(service)
    assert service.asked == 1


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
def test_no_wait_is_longer_than_the_largest(attempt: int, initial: float, multiplier: float) -> None:
    policy = RetryPolicy(initial_seconds=initial, multiplier=multiplier, max_seconds=20)
    assert 0 <= policy.ceiling(attempt) <= 20


@pytest.mark.parametrize(
    "wrong", [{"attempts": 0}, {"initial_seconds": -1}, {"initial_seconds": 2, "max_seconds": 1}, {"multiplier": 0.5}]
)
def test_impossible_policies_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match="needed"):
        RetryPolicy(**wrong)  # type: ignore[arg-type]
