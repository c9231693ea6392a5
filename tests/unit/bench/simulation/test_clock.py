"""The virtual clock itself: it jumps, keeps the order of timers, and finds what would hang."""

import asyncio

import pytest
from undertone_bench.simulation.clock import DeadlockError, HorizonError, LivelockError, run


def now() -> float:
    return asyncio.get_running_loop().time()


def test_a_day_passes_at_once() -> None:
    async def sleeper() -> float:
        await asyncio.sleep(80_000)
        return now()

    assert run(sleeper()) == 80_000


def test_timers_fire_in_their_order_and_ties_in_that_of_their_setting() -> None:
    order: list[str] = []

    async def wake(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        order.append(f"{name}@{now():g}")

    async def main() -> None:
        await asyncio.gather(wake("late", 3), wake("early", 1), wake("tie-1", 2), wake("tie-2", 2))

    run(main())
    assert order == ["early@1", "tie-1@2", "tie-2@2", "late@3"]


def test_who_waits_for_ever_is_named() -> None:
    async def forlorn() -> None:
        await asyncio.Event().wait()

    with pytest.raises(DeadlockError, match="forlorn"):
        run(forlorn())


def test_a_program_that_spins_is_stopped() -> None:
    async def spin() -> None:
        while True:  # noqa: ASYNC110 - what is tested
            await asyncio.sleep(0)

    with pytest.raises(LivelockError, match="at 0 s"):
        run(spin(), max_iterations=1000)


def test_a_program_that_takes_too_long_is_stopped_and_can_clean_up() -> None:
    cleaned: list[float] = []

    async def tick() -> None:
        try:
            while True:  # noqa: ASYNC110 - what is tested
                await asyncio.sleep(7)
        finally:
            await asyncio.sleep(1)
            cleaned.append(now())

    with pytest.raises(HorizonError, match="after 100 s"):
        run(tick(), horizon_seconds=100)
    assert cleaned


def test_timeouts_work_as_on_any_loop() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await asyncio.sleep(31)
        return now()

    assert run(main()) == 30
