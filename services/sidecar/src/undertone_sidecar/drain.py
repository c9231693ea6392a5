"""The end of a sidecar: stop being chosen, stop accepting, finish what was accepted."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import grpc.aio

from undertone_sidecar.calls import Calls
from undertone_sidecar.readiness import Readiness

_QUIET_SECONDS: Final = 0.1
"""gRPC cancels what it has received but not yet handed to us when it stops, so it is stopped when no call came for so long."""

_STUBBORN_SECONDS: Final = 1.0
"""How long to wait for such a moment among callers who do not take no for an answer."""

_FLUSH_SECONDS: Final = 0.5
"""For replies that gRPC has taken but not yet written, where a health watcher keeps the connection open."""

log = logging.getLogger(__name__)


async def drain(
    server: grpc.aio.Server,
    readiness: Readiness,
    calls: Calls,
    refuse: Callable[[], None],
    *,
    delay_seconds: float,
    grace_seconds: float,
    hurry: asyncio.Event,
) -> bool:
    """Returns whether every accepted call was finished, within `grace_seconds` in all and before `hurry` was set.

    Health says NOT_SERVING at once, but calls are accepted for `delay_seconds` more, as balancers look every few seconds only.
    Then `refuse` is called, from when on newcomers must be told to go elsewhere.
    """
    await readiness.end()
    log.info("draining", extra={"delay_seconds": delay_seconds, "grace_seconds": grace_seconds})
    finishing = asyncio.create_task(_finish(server, calls, refuse, delay_seconds))
    hurrying = asyncio.create_task(hurry.wait())
    await asyncio.wait([finishing, hurrying], timeout=grace_seconds, return_when=asyncio.FIRST_COMPLETED)
    finished = finishing.done()
    for task in (finishing, hurrying):
        task.cancel()
    await asyncio.gather(finishing, hurrying, return_exceptions=True)
    # Ends whatever did not finish.
    await server.stop(None)
    if finished:
        log.info("drained")
    else:
        log.warning("drain cut short; running calls were cut off")
    return finished


async def _finish(server: grpc.aio.Server, calls: Calls, refuse: Callable[[], None], delay_seconds: float) -> None:
    await asyncio.sleep(delay_seconds)
    refuse()
    await calls.idle()
    with suppress(TimeoutError):
        await asyncio.wait_for(calls.quiet(_QUIET_SECONDS), _STUBBORN_SECONDS)
    # Returns before its time where nobody watches health: with the last reply written.
    await server.stop(_FLUSH_SECONDS)
