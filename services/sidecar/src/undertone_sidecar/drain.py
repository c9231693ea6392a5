"""Graceful shutdown: keep serving, report NOT_SERVING, refuse new calls, finish accepted calls."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import grpc.aio
from undertone_telemetry.rpc import CallEvent, CallStarted

from undertone_sidecar.events import Listener
from undertone_sidecar.health import Health

_QUIET_SECONDS: Final = 0.1
"""Time without calls before the server stops. A stop cancels calls that gRPC has not delivered."""

_MAX_QUIET_WAIT_SECONDS: Final = 1.0
"""Maximum wait for a time without calls. Callers that keep calling must not delay the stop."""

_FLUSH_SECONDS: Final = 0.5
"""Time for gRPC to write the last replies while a health watcher keeps its connection open."""

log = logging.getLogger(__name__)


class InFlightTracker:
    """Counts the server's calls in flight. Receives call events and forwards them to `listener`."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._in_flight = 0
        self._started = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def in_flight(self) -> int:
        return self._in_flight

    async def wait_idle(self) -> None:
        """Waits until no call is in flight."""
        await self._idle.wait()

    async def wait_quiet(self, seconds: float) -> None:
        """Waits until no call is in flight and none has started for `seconds`."""
        while True:
            await self.wait_idle()
            started = self._started
            await asyncio.sleep(seconds)
            if started == self._started:
                return

    def __call__(self, event: CallEvent) -> None:
        if isinstance(event, CallStarted):
            self._started += 1
            self._in_flight += 1
            self._idle.clear()
        else:
            self._in_flight -= 1
            if not self._in_flight:
                self._idle.set()
        self._listener(event)


async def drain(
    server: grpc.aio.Server,
    health: Health,
    tracker: InFlightTracker,
    refuse_calls: Callable[[], None],
    *,
    serving_seconds: float,
    delay_seconds: float,
    grace_seconds: float,
    force_stop: asyncio.Event,
) -> bool:
    """Drains and stops the server.

    Health stays SERVING for `serving_seconds`, because load balancers that find pods by DNS may not
    know the successor of this pod before. Then health becomes NOT_SERVING. Calls are still accepted
    for `delay_seconds`, because load balancers check health only every few seconds. Both times are
    0 if the server was never ready: no load balancer sends calls to it.

    Args:
        server: The server to stop.
        health: Health of the server.
        tracker: Calls in flight of the server.
        refuse_calls: Makes the server refuse new calls.
        serving_seconds: Time before health becomes NOT_SERVING.
        delay_seconds: Time from then until `refuse_calls`.
        grace_seconds: Maximum duration of the drain, both times included.
        force_stop: Ends the drain when set.

    Returns:
        Whether all accepted calls were finished.
    """
    if not health.was_ready:
        serving_seconds = delay_seconds = 0.0
    times = {"serving_seconds": serving_seconds, "delay_seconds": delay_seconds, "grace_seconds": grace_seconds}
    log.info("draining", extra=times)
    finishing = asyncio.create_task(_finish(server, health, tracker, refuse_calls, serving_seconds, delay_seconds))
    forced = asyncio.create_task(force_stop.wait())
    await asyncio.wait([finishing, forced], timeout=grace_seconds, return_when=asyncio.FIRST_COMPLETED)
    finished = finishing.done()
    for task in (finishing, forced):
        task.cancel()
    await asyncio.gather(finishing, forced, return_exceptions=True)
    health.shut_down()
    # Cancels calls that are still in flight.
    await server.stop(None)
    if finished:
        log.info("drained")
    else:
        log.warning("drain incomplete: calls in flight were cancelled")
    return finished


async def _finish(
    server: grpc.aio.Server,
    health: Health,
    tracker: InFlightTracker,
    refuse_calls: Callable[[], None],
    serving_seconds: float,
    delay_seconds: float,
) -> None:
    await asyncio.sleep(serving_seconds)
    health.shut_down()
    await asyncio.sleep(delay_seconds)
    refuse_calls()
    await tracker.wait_idle()
    with suppress(TimeoutError):
        await asyncio.wait_for(tracker.wait_quiet(_QUIET_SECONDS), _MAX_QUIET_WAIT_SECONDS)
    # Returns early if no health watcher is connected.
    await server.stop(_FLUSH_SECONDS)
