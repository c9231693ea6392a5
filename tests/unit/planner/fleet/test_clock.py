import asyncio

import pytest
from undertone_planner.fleet.clock import DeadlockError, HorizonError, LivelockError, run


def now() -> float:
    return asyncio.get_running_loop().time()


def test_a_day_of_sleep_takes_no_time() -> None:
    async def sleep() -> float:
        await asyncio.sleep(80_000)
        return now()

    assert run(sleep()) == 80_000


def test_timers_fire_in_order_of_time_and_then_of_creation() -> None:
    order: list[str] = []

    async def wake(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        order.append(f"{name}@{now():g}")

    async def main() -> None:
        await asyncio.gather(wake("late", 3), wake("early", 1), wake("tie-1", 2), wake("tie-2", 2))

    run(main())
    assert order == ["early@1", "tie-1@2", "tie-2@2", "late@3"]


def test_a_deadlock_names_the_waiting_tasks() -> None:
    async def wait_forever() -> None:
        await asyncio.Event().wait()

    with pytest.raises(DeadlockError, match="wait_forever"):
        run(wait_forever())


def test_a_livelock_is_an_error() -> None:
    async def spin() -> None:
        while True:  # noqa: ASYNC110 - the loop under test
            await asyncio.sleep(0)

    with pytest.raises(LivelockError, match="at 0 s"):
        run(spin(), max_iterations=1000)


def test_the_horizon_cancels_the_program_which_can_clean_up() -> None:
    cleaned_up: list[float] = []

    async def tick() -> None:
        try:
            while True:  # noqa: ASYNC110 - the loop under test
                await asyncio.sleep(7)
        finally:
            await asyncio.sleep(1)
            cleaned_up.append(now())

    with pytest.raises(HorizonError, match="after 100 s"):
        run(tick(), horizon_seconds=100)
    assert cleaned_up


def test_timeouts_use_virtual_time() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await asyncio.sleep(31)
        return now()

    assert run(main()) == 30
