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
        await slots.read(stalled)
    assert await slots.read(complete) == "message"


async def test_no_more_messages_than_slots_are_received_at_a_time() -> None:
    slots, receiving, most = ReadSlots(3, 60), 0, 0

    async def receive() -> str:
        nonlocal receiving, most
        receiving += 1
        most = max(most, receiving)
        await asyncio.sleep(0)
        receiving -= 1
        return "message"

    assert await asyncio.gather(*(slots.read(receive) for _ in range(50))) == ["message"] * 50
    assert most == 3


async def test_stalled_messages_give_way_to_waiting_calls() -> None:
    slots = ReadSlots(4, 3600, min_seconds=0.01)
    attackers = [asyncio.create_task(slots.read(stalled)) for _ in range(20)]
    await asyncio.sleep(0)
    assert await slots.read(complete) == "message"
    # The last attackers keep their slots, because no call waits for one.
    done, pending = await asyncio.wait(attackers, timeout=0.1)
    assert all(isinstance(task.exception(), ReadTimeoutError) for task in done)
    assert len(done) >= 16
    for task in pending:
        task.cancel()


async def test_a_cancelled_call_gives_its_slot_back() -> None:
    slots = ReadSlots(1, 3600)
    first, second = asyncio.create_task(slots.read(stalled)), asyncio.create_task(slots.read(stalled))
    await asyncio.sleep(0)
    second.cancel()
    first.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    assert await slots.read(complete) == "message"
