import asyncio
import gc
from contextlib import suppress

import pytest
from undertone_sidecar.garbage import FullCollections
from undertone_sidecar.testing import FakeClock


@pytest.mark.parametrize(
    ("calls", "seconds", "collections"), [(0, 10, 1), (64, 10, 1), (65, 10, 0), (4000, 59, 0), (4000, 60, 1)]
)
def test_full_collections_wait_for_a_quiet_time(calls: int, seconds: float, collections: int) -> None:
    clock = FakeClock()
    collected: list[int] = []
    full = FullCollections(lambda: calls, collect=lambda: collected.append(1), clock=clock)
    clock.advance(seconds)
    full.collect_if_due()
    assert len(collected) == collections


async def test_automatic_full_collections_are_off_while_it_runs() -> None:
    before = gc.get_threshold()
    running = asyncio.create_task(FullCollections(lambda: 0).run())
    await asyncio.sleep(0)
    assert gc.get_threshold()[:2] == before[:2]
    assert gc.get_threshold()[2] > 10**6
    assert gc.get_freeze_count() > 0
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert gc.get_threshold() == before
