import asyncio

import pytest
from undertone_sidecar.read_slots import ReadSlots, ReadTimeoutError


async def stalled() -> str:
    await asyncio.Event().wait()
    return ""


async def complete() -> str:
    return "message"


async def test_a_message_that_stalls_loses_its_slot() -> None:
    slots = ReadSlots(1, 0.01)
    with pytest.raises(ReadTimeoutError):
        await slots.read("a", stalled)
    assert await slots.read("a", complete) == "message"


async def test_no_more_messages_than_slots_are_received_at_a_time() -> None:
    slots, receiving, most = ReadSlots(3, 60), 0, 0

    async def receive() -> str:
        nonlocal receiving, most
        receiving += 1
        most = max(most, receiving)
        await asyncio.sleep(0)
        receiving -= 1
        return "message"

    assert await asyncio.gather(*(slots.read("a", receive) for _ in range(50))) == ["message"] * 50
    assert most == 3


async def test_stalled_messages_give_way_to_waiting_calls() -> None:
    slots = ReadSlots(4, 3600, min_seconds=0.01)
    attackers = [asyncio.create_task(slots.read("a", stalled)) for _ in range(20)]
    await asyncio.sleep(0)
    assert await slots.read("a", complete) == "message"
    # The last attackers keep their slots, because no call waits for one.
    done, pending = await asyncio.wait(attackers, timeout=0.1)
    assert all(isinstance(task.exception(), ReadTimeoutError) for task in done)
    assert len(done) >= 16
    for task in pending:
        task.cancel()


async def test_a_cancelled_call_gives_its_slot_back() -> None:
    slots = ReadSlots(1, 3600)
    first, second = asyncio.create_task(slots.read("a", stalled)), asyncio.create_task(slots.read("a", stalled))
    await asyncio.sleep(0)
    second.cancel()
    first.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    assert await slots.read("a", complete) == "message"


async def cancel(*tasks: asyncio.Task[str]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_caller_with_slow_messages_leaves_slots_to_other_callers() -> None:
    slots = ReadSlots(48, 3600, min_seconds=3600)
    slow = [asyncio.create_task(slots.read("slow", stalled)) for _ in range(200)]
    await asyncio.sleep(0)
    assert await slots.read("other", complete) == "message"
    await cancel(*slow)
    # All slots are free again.
    slow = [asyncio.create_task(slots.read("slow", stalled)) for _ in range(200)]
    await asyncio.sleep(0)
    assert await slots.read("other", complete) == "message"
    await cancel(*slow)


async def test_free_slots_go_to_the_waiting_callers_in_turn() -> None:
    slots, served = ReadSlots(1, 3600, min_seconds=3600), []

    async def read(caller: str) -> str:
        async def receive() -> str:
            served.append(caller)
            return await complete()

        return await slots.read(caller, receive)

    first = asyncio.create_task(slots.read("first", stalled))
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(read(caller)) for caller in "aaabc"]
    await asyncio.sleep(0)
    await cancel(first, waiting[1])
    await asyncio.gather(*waiting, return_exceptions=True)
    assert "".join(served) == "abca"


@pytest.mark.parametrize("min_seconds", [0.001, 0.0])
async def test_the_caller_with_the_most_slots_gives_way_first(min_seconds: float) -> None:
    """Also if messages give way while granted slots have not received anything yet."""
    slots = ReadSlots(8, 3600, min_seconds=min_seconds)
    patient = asyncio.create_task(slots.read("patient", stalled))
    await asyncio.sleep(0)
    slow = [asyncio.create_task(slots.read("slow", stalled)) for _ in range(40)]
    await asyncio.wait(slow[:28])
    assert not patient.done()
    await cancel(patient, *slow)
