import asyncio
from collections import Counter
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_sidecar.fair_slots import FairSlots


async def order(tasks: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """The order in which waiting tasks get the only slot."""
    slots, served = FairSlots(1), []

    async def work(caller: str, cost: int) -> None:
        async with slots.slot(caller, cost):
            served.append((caller, cost))
            await asyncio.sleep(0)

    async with slots.slot("", 1):
        waiting = [asyncio.create_task(work(*task)) for task in tasks]
        await asyncio.sleep(0)
    await asyncio.gather(*waiting)
    return served


async def test_the_first_task_of_another_caller_is_served_next() -> None:
    tasks = [("greedy", 65_536)] * 100 + [("other", 10)]
    assert (await order(tasks)).index(("other", 10)) <= 1


@given(st.lists(st.lists(st.integers(1, 50), min_size=1, max_size=30), min_size=2, max_size=5))
@settings(max_examples=50, deadline=None)
def test_waiting_callers_get_equal_shares(costs: list[list[int]]) -> None:
    tasks = [(str(caller), cost) for caller, own in enumerate(costs) for cost in own]
    served, left, shares = asyncio.run(order(tasks)), Counter(caller for caller, _ in tasks), Counter[str]()
    assert sorted(served) == sorted(tasks)
    for caller, cost in served:
        shares[caller] += cost
        left[caller] -= 1
        if all(left.values()):
            assert max(shares.values()) - min(shares[name] for name in left) <= 2 * 50


async def test_cancelled_tasks_are_not_charged_and_keep_no_slot() -> None:
    slots, served = FairSlots(1), []

    async def work(caller: str, cost: int) -> None:
        async with slots.slot(caller, cost):
            served.append(caller)

    async def waiting(*callers: str, cost: int) -> list[asyncio.Task[None]]:
        tasks = [asyncio.create_task(work(caller, cost)) for caller in callers]
        await asyncio.sleep(0)
        return tasks

    async with slots.slot("first", 1):
        cancelled = await waiting(*["a"] * 50, cost=1000)
        for task in cancelled:
            task.cancel()
        await asyncio.gather(*cancelled, return_exceptions=True)
        tasks = await waiting("a", "b", "a", "b", cost=10)
        granted = (await waiting("c", cost=10000))[0]
    granted.cancel()
    await asyncio.gather(*tasks, granted, return_exceptions=True)
    assert served == ["a", "b", "a", "b"]
    async with slots.slot("a", 1):
        pass


async def test_only_callers_that_wait_are_remembered() -> None:
    slots = FairSlots(2)
    async with slots.slot("busy", 1):
        for number in range(5000):
            async with slots.slot(str(number), 1):
                pass
        assert slots.callers <= 1


async def test_new_callers_do_not_delay_the_second_task_of_a_caller_forever() -> None:
    slots, new = FairSlots(1), 0
    second_is_served = asyncio.Event()

    async def work(caller: str) -> None:
        nonlocal new
        async with slots.slot(caller, 10):
            if caller == "patient":
                second_is_served.set()
            elif not second_is_served.is_set() and new < 1000:
                new += 1
                tasks.append(asyncio.create_task(work(f"new {new}")))
                await asyncio.sleep(0)

    async with slots.slot("patient", 10):
        tasks = [asyncio.create_task(work("new")), asyncio.create_task(work("patient"))]
        await asyncio.sleep(0)
    await second_is_served.wait()
    assert new < 20
    for task in tasks:
        await task
