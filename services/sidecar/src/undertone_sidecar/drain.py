"""The end of a sidecar: stop being chosen, stop accepting, finish what was accepted."""

import asyncio
import logging
from typing import Final

import grpc.aio

from undertone_sidecar.calls import Calls
from undertone_sidecar.readiness import Readiness

_QUIET_SECONDS: Final = 0.1
"""A call whose message is still arriving is not counted yet; it is by then."""

_FLUSH_SECONDS: Final = 0.5
"""For replies that gRPC has taken but not yet written: ending a connection earlier would lose them."""

log = logging.getLogger(__name__)


async def drain(
    server: grpc.aio.Server,
    readiness: Readiness,
    calls: Calls,
    *,
    delay_seconds: float,
    grace_seconds: float,
    hurry: asyncio.Event,
) -> bool:
    """Returns whether every accepted call was finished, within `grace_seconds` in all and before `hurry` was set.

    Health says NOT_SERVING at once, but calls are accepted for `delay_seconds` more: balancers look every few seconds.
    """
    await readiness.end()
    log.info("draining", extra={"delay_seconds": delay_seconds, "grace_seconds": grace_seconds})
    finishing = asyncio.create_task(_finish(server, calls, delay_seconds, grace_seconds))
    hurrying = asyncio.create_task(hurry.wait())
    await asyncio.wait([finishing, hurrying], timeout=grace_seconds, return_when=asyncio.FIRST_COMPLETED)
    finished = finishing.done()
    for task in (finishing, hurrying):
        task.cancel()
    await asyncio.gather(finishing, hurrying, return_exceptions=True)
    # Ends the streams of health watchers, which never end by themselves, and whatever did not finish.
    await server.stop(None)
    if finished:
        log.info("drained")
    else:
        log.warning("drain cut short; running calls were cut off")
    return finished


async def _finish(server: grpc.aio.Server, calls: Calls, delay_seconds: float, grace_seconds: float) -> None:
    await asyncio.sleep(delay_seconds)
    stopping = asyncio.create_task(server.stop(grace_seconds))
    try:
        await asyncio.sleep(_QUIET_SECONDS)
        await calls.idle()
        # Over when every reply is with its caller and every connection closed, unless somebody watches health.
        await asyncio.wait([stopping], timeout=_FLUSH_SECONDS)
    finally:
        stopping.cancel()
