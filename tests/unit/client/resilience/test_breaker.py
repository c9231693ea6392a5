"""The circuit breaker, with a clock that the test sets, and the transport that waits for it."""

import asyncio
from collections.abc import AsyncIterator, Callable

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_client.errors import CircuitOpenError, SettingsError, service_error
from undertone_client.resilience.breaker import BreakerSettings, BreakerTransport, CircuitBreaker, Permit
from undertone_client.resilience.events import BreakerChanged, BreakerState, Event
from undertone_client.transport import CallState, Mode, Reply, Request
from undertone_client.wire import model_request

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


class Clock:
    """A clock that moves only when told to. Wakes sleepers whose time has come."""

    def __init__(self) -> None:
        self.now = 0.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        awake = asyncio.Event()
        self._sleepers.append((self.now + seconds, awake))
        await awake.wait()

    async def advance(self, seconds: float) -> None:
        self.now += seconds
        for wake_at, awake in self._sleepers:
            if wake_at <= self.now:
                awake.set()
        for _ in range(5):
            await asyncio.sleep(0)


def new_breaker(clock: Callable[[], float], **changes: float) -> CircuitBreaker:
    return CircuitBreaker(BreakerSettings(**{"consecutive_failures": 3, **changes}), clock)  # type: ignore[arg-type]


def admitted(breaker: CircuitBreaker) -> Permit:
    permit = breaker.admit()
    assert permit is not None
    return permit


def open_breaker(clock: Callable[[], float], **changes: float) -> CircuitBreaker:
    breaker = new_breaker(clock, **changes)
    for _ in range(3):
        breaker.record_failure(admitted(breaker))
    assert breaker.state is OPEN
    return breaker


def test_consecutive_failures_open_the_breaker() -> None:
    breaker = new_breaker(Clock())
    for success in (False, False, True, False, False):
        (breaker.record_success if success else breaker.record_failure)(admitted(breaker))
        assert breaker.state is CLOSED
    breaker.record_failure(admitted(breaker))
    assert breaker.state is OPEN
    assert breaker.admit() is None


def test_a_high_failure_rate_opens_the_breaker() -> None:
    breaker = new_breaker(Clock(), window_calls=10, failure_rate=0.5)
    for number in range(20):  # 40 %, two in a row
        (breaker.record_failure if number % 5 < 2 else breaker.record_success)(admitted(breaker))
    assert breaker.state is CLOSED
    for number in range(10):
        if permit := breaker.admit():
            (breaker.record_failure if number % 2 else breaker.record_success)(permit)
    assert breaker.state is OPEN


def test_a_successful_probe_closes_the_breaker() -> None:
    clock = Clock()
    breaker = open_breaker(clock, open_seconds=2.0)
    clock.now = 1.9
    assert breaker.admit() is None
    clock.now = 2.0
    probe = admitted(breaker)
    assert breaker.state is HALF_OPEN
    assert breaker.admit() is None
    breaker.record_success(probe)
    assert breaker.state is CLOSED
    breaker.record_failure(admitted(breaker))
    assert breaker.state is CLOSED  # earlier failures no longer count


def test_each_failed_probe_doubles_the_wait_up_to_the_maximum() -> None:
    clock = Clock()
    breaker = open_breaker(clock, open_seconds=1.0, max_open_seconds=5.0)
    waits = []
    for _ in range(5):
        waits.append(breaker.seconds_to_probe)
        clock.now += breaker.seconds_to_probe
        breaker.record_failure(admitted(breaker))
    assert waits == [1, 2, 4, 5, 5]


def test_results_of_attempts_sent_before_the_breaker_opened_do_not_count() -> None:
    clock = Clock()
    breaker = new_breaker(clock, open_seconds=1.0)
    early = [admitted(breaker) for _ in range(5)]
    for permit in early[:3]:
        breaker.record_failure(permit)
    breaker.record_success(early[3])
    assert breaker.state is OPEN
    clock.now = 1.0
    probe = admitted(breaker)
    breaker.record_failure(early[4])
    assert breaker.state is HALF_OPEN
    breaker.record_success(probe)
    assert breaker.state is CLOSED


def test_after_a_cancelled_probe_the_next_attempt_is_the_probe() -> None:
    clock = Clock()
    breaker = open_breaker(clock)
    clock.now = 5.0
    breaker.record_cancellation(admitted(breaker))
    assert breaker.state is OPEN
    breaker.record_success(admitted(breaker))
    assert breaker.state is CLOSED


STEPS = ["admit", "record_success", "record_failure", "record_cancellation", "wait"]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 9)), max_size=120))
def test_a_half_open_breaker_has_one_probe_and_an_open_one_always_recovers(steps: list[tuple[str, int]]) -> None:
    clock = Clock()
    breaker = new_breaker(clock, window_calls=6)
    in_flight: list[tuple[Permit, BreakerState]] = []
    for step, number in steps:
        before = breaker.state
        if step == "wait":
            clock.now += number
        elif step == "admit":
            if (permit := breaker.admit()) is not None:
                in_flight.append((permit, breaker.state))
            assert (permit is None) == (before is not CLOSED and breaker.state is before)
        elif in_flight:
            permit, _ = in_flight.pop(number % len(in_flight))
            getattr(breaker, step)(permit)
        probes = [state for permit, state in in_flight if state is HALF_OPEN]
        if breaker.state is HALF_OPEN:
            assert probes
        if before is CLOSED:
            assert breaker.state is not HALF_OPEN
    clock.now += 100
    if breaker.state is OPEN:
        breaker.record_success(admitted(breaker))
        assert breaker.state is CLOSED


@pytest.mark.parametrize(
    "invalid",
    [
        {"consecutive_failures": 0},
        {"window_calls": 0},
        {"failure_rate": 0},
        {"failure_rate": 1.1},
        {"open_seconds": 0},
        {"max_open_seconds": 0.5},
        {"patience_seconds": -1},
    ],
)
def test_invalid_settings_are_rejected(invalid: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match=next(iter(invalid))):
        BreakerSettings(**invalid)  # type: ignore[arg-type]


class Guarded:
    """A transport whose breaker is open. Each attempt that it sends ends when the test sets its
    future."""

    def __init__(self, **changes: float) -> None:
        self.clock = Clock()
        self.events: list[Event] = []
        self.attempts: list[asyncio.Future[Reply]] = []
        breaker = open_breaker(self.clock, **changes)
        self.transport = BreakerTransport(self, breaker, self.events.append, self.clock.sleep)
        self.calls: list[asyncio.Task[Reply]] = []

    async def send(self, request: Request, call: CallState) -> Reply:
        """The inner transport."""
        self.attempts.append(asyncio.get_running_loop().create_future())
        return await self.attempts[-1]

    async def start(self, count: int) -> list[asyncio.Task[Reply]]:
        new = [asyncio.create_task(self.transport.send(model_request(), CallState(Mode.BATCH))) for _ in range(count)]
        self.calls += new
        await self.clock.advance(0)
        return new

    def fail(self, attempt: int) -> None:
        self.attempts[attempt].set_exception(service_error(grpc.StatusCode.UNAVAILABLE, "down"))


@pytest.fixture
async def guard() -> AsyncIterator[Callable[..., Guarded]]:
    created: list[Guarded] = []

    def create(**changes: float) -> Guarded:
        created.append(Guarded(**changes))
        return created[-1]

    yield create
    for guarded in created:
        for call in guarded.calls:
            call.cancel()
        await asyncio.gather(*guarded.calls, return_exceptions=True)


async def test_online_calls_fail(guard: Callable[..., Guarded]) -> None:
    with pytest.raises(CircuitOpenError):
        await guard().transport.send(model_request(), CallState(Mode.ONLINE))


async def test_batch_calls_wait_for_the_probe_to_succeed(guard: Callable[..., Guarded]) -> None:
    guarded = guard()
    await guarded.start(4)
    assert not guarded.attempts
    await guarded.clock.advance(1)
    [probe] = guarded.attempts
    probe.set_result(Reply(None))
    await guarded.clock.advance(0)
    assert len(guarded.attempts) == 4
    assert [(event.previous, event.state) for event in guarded.events if isinstance(event, BreakerChanged)] == [
        (OPEN, HALF_OPEN),
        (HALF_OPEN, CLOSED),
    ]


async def test_after_a_failed_probe_another_call_becomes_the_next_probe(guard: Callable[..., Guarded]) -> None:
    guarded = guard()
    await guarded.start(3)
    for probes in (1, 2, 3):
        await guarded.clock.advance(15)
        assert len(guarded.attempts) == probes
        guarded.fail(probes - 1)
        await guarded.clock.advance(0)


async def test_a_cancelled_call_that_slept_until_the_probe_is_replaced(guard: Callable[..., Guarded]) -> None:
    guarded = guard()
    sleeper, *_ = await guarded.start(3)
    sleeper.cancel()
    await guarded.clock.advance(0)
    await guarded.clock.advance(1)
    assert len(guarded.attempts) == 1


async def test_all_waiting_calls_fail_when_the_patience_ends(guard: Callable[..., Guarded]) -> None:
    guarded = guard(patience_seconds=3, open_seconds=2, max_open_seconds=100)
    calls = await guarded.start(3)
    await guarded.clock.advance(2)
    assert len(guarded.attempts) == 1
    assert guarded.transport.may_recover
    guarded.fail(0)
    await guarded.clock.advance(0)
    await guarded.clock.advance(1)
    errors = [call.exception() for call in calls]
    assert sum(isinstance(error, CircuitOpenError) for error in errors) == 2
    assert not guarded.transport.may_recover
    with pytest.raises(CircuitOpenError, match="the last failure was UNAVAILABLE: down"):
        await guarded.transport.send(model_request(), CallState(Mode.BATCH))
