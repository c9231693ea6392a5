"""The circuit breaker, with a clock that is turned by hand, and its door."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_client.errors import SettingsError
from undertone_client.resilience import (
    BreakerChanged,
    BreakerGuard,
    BreakerSettings,
    BreakerState,
    CircuitBreaker,
    Event,
    Mode,
    Permit,
)

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


class Clock:
    """Stands still between the turns; a sleeper wakes when its time has come."""

    def __init__(self) -> None:
        self.now = 0.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        self._sleepers.append((self.now + seconds, woken))
        await woken.wait()

    async def turn(self, seconds: float) -> None:
        self.now += seconds
        for at, woken in self._sleepers:
            if at <= self.now:
                woken.set()
        for _ in range(5):
            await asyncio.sleep(0)


def breaker(clock: Callable[[], float], **changed: float) -> CircuitBreaker:
    return CircuitBreaker(BreakerSettings(**{"consecutive_failures": 3, **changed}), clock)  # type: ignore[arg-type]


def permitted(own: CircuitBreaker) -> Permit:
    permit = own.admit()
    assert permit is not None
    return permit


def broken(clock: Callable[[], float], **changed: float) -> CircuitBreaker:
    own = breaker(clock, **changed)
    for _ in range(3):
        own.fail(permitted(own))
    assert own.state is OPEN
    return own


def test_failures_in_a_row_open_it() -> None:
    own = breaker(Clock())
    for ends in ("fail", "fail", "succeed", "fail", "fail"):
        getattr(own, ends)(permitted(own))
        assert own.state is CLOSED
    own.fail(permitted(own))
    assert own.state is OPEN
    assert own.admit() is None


def test_a_share_of_failures_opens_it() -> None:
    own = breaker(Clock(), window_calls=10, failure_rate=0.5)
    for number in range(20):
        (own.fail if number % 5 < 2 else own.succeed)(permitted(own))  # 40 %, two in a row
    assert own.state is CLOSED
    for number in range(10):
        if permit := own.admit():
            (own.fail if number % 2 else own.succeed)(permit)
    assert own.state is OPEN


def test_one_probe_decides() -> None:
    clock = Clock()
    own = broken(clock, open_seconds=2.0)
    clock.now = 1.9
    assert own.admit() is None
    clock.now = 2.0
    probe = permitted(own)
    assert own.state is HALF_OPEN
    assert own.admit() is None
    own.succeed(probe)
    assert own.state is CLOSED
    own.fail(permitted(own))
    assert own.state is CLOSED  # it begins anew


def test_each_probe_that_fails_doubles_the_wait_up_to_the_largest() -> None:
    clock = Clock()
    own = broken(clock, open_seconds=1.0, max_open_seconds=5.0)
    found = []
    for _ in range(5):
        found.append(own.seconds_to_probe)
        clock.now += own.seconds_to_probe
        own.fail(permitted(own))
    assert found == [1, 2, 4, 5, 5]


def test_calls_from_before_it_opened_tell_nothing() -> None:
    clock = Clock()
    own = breaker(clock, open_seconds=1.0)
    early = [permitted(own) for _ in range(5)]
    for permit in early[:3]:
        own.fail(permit)
    own.succeed(early[3])
    assert own.state is OPEN
    clock.now = 1.0
    probe = permitted(own)
    own.fail(early[4])
    assert own.state is HALF_OPEN
    own.succeed(probe)
    assert own.state is CLOSED


def test_a_cancelled_probe_makes_way_for_another_at_once() -> None:
    clock = Clock()
    own = broken(clock)
    clock.now = 5.0
    own.abandon(permitted(own))
    assert own.state is OPEN
    own.succeed(permitted(own))
    assert own.state is CLOSED


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["admit", "succeed", "fail", "abandon", "wait"]), st.integers(0, 9)), max_size=120))
def test_whatever_happens_there_is_one_probe_and_never_an_end_without_one(steps: list[tuple[str, int]]) -> None:
    clock = Clock()
    own = breaker(clock, window_calls=6)
    under_way: list[tuple[Permit, BreakerState]] = []
    for what, which in steps:
        before = own.state
        if what == "wait":
            clock.now += which
        elif what == "admit":
            if (permit := own.admit()) is not None:
                under_way.append((permit, own.state))
            assert (permit is None) == (before is not CLOSED and own.state is before)
        elif under_way:
            permit, _ = under_way.pop(which % len(under_way))
            getattr(own, what)(permit)
        probes = [state for permit, state in under_way if state is HALF_OPEN]
        if own.state is HALF_OPEN:
            assert probes
        if before is CLOSED:
            assert own.state is not HALF_OPEN
    clock.now += 100
    if own.state is OPEN:
        own.succeed(permitted(own))
        assert own.state is CLOSED


@pytest.mark.parametrize(
    "wrong",
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
def test_settings_that_cannot_work(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        BreakerSettings(**wrong)  # type: ignore[arg-type]


class Door:
    """A guard whose breaker is open, and the callers that it was given."""

    def __init__(self, **changed: float) -> None:
        self.clock = Clock()
        self.events: list[Event] = []
        self.breaker = broken(self.clock, **changed)
        self.guard = BreakerGuard(self.breaker, self.events.append, self.clock.sleep)
        self.tasks: list[asyncio.Task[Permit | None]] = []

    async def call(self, count: int) -> list[asyncio.Task[Permit | None]]:
        tasks = [asyncio.create_task(self.guard.enter(Mode.BATCH)) for _ in range(count)]
        self.tasks += tasks
        await self.clock.turn(0)
        return tasks


@pytest.fixture
async def opened() -> AsyncIterator[Callable[..., Coroutine[Any, Any, Door]]]:
    doors = []

    async def make(**changed: float) -> Door:
        doors.append(Door(**changed))
        return doors[-1]

    yield make
    for door in doors:
        for task in door.tasks:
            task.cancel()
        await asyncio.gather(*door.tasks, return_exceptions=True)


Opened = Callable[..., Coroutine[Any, Any, Door]]


async def test_online_callers_are_turned_away(opened: Opened) -> None:
    door = await opened()
    assert await door.guard.enter(Mode.ONLINE) is None


async def test_batches_wait_for_the_probe_to_succeed(opened: Opened) -> None:
    door = await opened()
    tasks = await door.call(4)
    assert not any(task.done() for task in tasks)
    await door.clock.turn(1)
    [probe] = [task.result() for task in tasks if task.done()]
    assert probe is not None
    door.guard.leave(probe, worked=True)
    await door.clock.turn(0)
    assert all(task.done() and task.result() for task in tasks)
    assert [(event.previous, event.state) for event in door.events if isinstance(event, BreakerChanged)] == [
        (OPEN, HALF_OPEN),
        (HALF_OPEN, CLOSED),
    ]


async def test_after_a_probe_that_fails_another_caller_keeps_the_time(opened: Opened) -> None:
    door = await opened()
    tasks = await door.call(3)
    for expected in (1, 2, 3):
        await door.clock.turn(15)
        done = [task for task in tasks if task.done()]
        assert len(done) == expected
        for task in done:
            if (permit := task.result()) is not None:
                door.guard.leave(permit, worked=False)
        await door.clock.turn(0)


async def test_a_caller_that_kept_the_time_and_was_cancelled_is_replaced(opened: Opened) -> None:
    door = await opened()
    keeper, *others = await door.call(3)
    keeper.cancel()
    await door.clock.turn(0)
    await door.clock.turn(1)
    assert sum(task.done() for task in others) == 1


async def test_patience_comes_to_an_end_for_all(opened: Opened) -> None:
    door = await opened(patience_seconds=3, open_seconds=2, max_open_seconds=100)
    tasks = await door.call(3)
    await door.clock.turn(2)
    [probe] = [task.result() for task in tasks if task.done()]
    assert probe is not None
    assert door.guard.hopeful
    door.guard.leave(probe, worked=False)
    await door.clock.turn(0)
    await door.clock.turn(1)
    assert [task.result() for task in tasks if task.result() is not probe] == [None, None]
    assert not door.guard.hopeful
    assert await door.guard.enter(Mode.BATCH) is None
