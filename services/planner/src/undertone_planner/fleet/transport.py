"""Transports of the client that lead to a simulated fleet instead of a socket.

As with gRPC, each attempt has a deadline that ends it with DEADLINE_EXCEEDED, and cancelling the
caller cancels the attempt. Calls of jobs (`Mode.BATCH`) are in the batch lane.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import grpc
from undertone_client import CallState, Client, Mode, Reply, Request, Settings
from undertone_client.errors import service_error
from undertone_client.resilience import Listener
from undertone_client.resilience.resilient_transport import ResilientTransport
from undertone_client.wire import read_reply
from undertone_protos.v1 import classifier_pb2 as pb

from undertone_planner.fleet.fleet import Fleet
from undertone_planner.fleet.work import LANE_KEY, CallError, Lane, Work

_BYTES_PER_TOKEN: Final = 5
_REPLY: Final = Reply(None)


class FleetTransport:
    """Sends requests of the public API. `timeout_seconds` is the deadline of one attempt."""

    def __init__(self, fleet: Fleet, timeout_seconds: float) -> None:
        self._fleet = fleet
        self._timeout_seconds = timeout_seconds

    async def send(self, request: Request, call: CallState) -> Reply:
        """See `undertone_client.Transport`."""
        request.message.SerializeToString()
        metadata = ((LANE_KEY, _lane(call).value),)

        async def attempt(deadline: float) -> Reply:
            return read_reply(*await self._fleet.answer(request.method, request.message, metadata, deadline))

        return await _attempt(attempt, self._timeout_seconds, call)


@dataclass(frozen=True, slots=True)
class WorkRequest(Request):
    """A request whose work is simulated, and not its text, which is faster.

    The message has the size of a real one, because the client's limit normalizes latencies by it.
    """

    work: Work

    @classmethod
    def of(cls, work: Work) -> "WorkRequest":
        return cls("ClassifyBatch", _message(round(work.tokens)), work)


@lru_cache(maxsize=4096)
def _message(tokens: int) -> pb.ClassifyRequest:
    return pb.ClassifyRequest(text=" " * max(1, _BYTES_PER_TOKEN * tokens))


class WorkTransport:
    """Sends `WorkRequest`s. The work's lane counts, not the call's mode."""

    def __init__(self, fleet: Fleet, timeout_seconds: float) -> None:
        self._fleet = fleet
        self._timeout_seconds = timeout_seconds

    async def send(self, request: Request, call: CallState) -> Reply:
        """See `undertone_client.Transport`."""
        if not isinstance(request, WorkRequest):
            raise TypeError(f"{type(request).__name__} has no work: use FleetTransport for requests of the public API")
        fleet, network, work = self._fleet, self._fleet.settings.network_seconds, request.work

        async def attempt(deadline: float) -> Reply:
            await asyncio.sleep(network)
            await fleet.serve(work, deadline)
            await asyncio.sleep(network)
            return _REPLY

        return await _attempt(attempt, self._timeout_seconds, call)


async def _attempt(send: Callable[[float], Awaitable[Reply]], timeout_seconds: float, call: CallState) -> Reply:
    deadline = min(asyncio.get_running_loop().time() + timeout_seconds, call.deadline)
    try:
        async with asyncio.timeout_at(deadline):
            return await send(deadline)
    except TimeoutError:
        raise service_error(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded") from None
    except CallError as error:
        pushback = None if error.pushback_ms is None else error.pushback_ms / 1000
        raise service_error(error.status, error.reason, pushback_seconds=pushback) from None


def _lane(call: CallState) -> Lane:
    return Lane.BATCH if call.mode is Mode.BATCH else Lane.ONLINE


def fleet_client(fleet: Fleet, settings: Settings, *, seed: int = 0, listener: Listener | None = None) -> Client:
    """The real client on the running loop's clock, with a fleet in place of the gRPC connection."""
    return Client(
        settings=settings,
        listener=listener,
        transport=FleetTransport(fleet, settings.timeout_seconds),
        clock=asyncio.get_running_loop().time,
        random=random.Random(seed).random,
    )


def work_transport(fleet: Fleet, settings: Settings, *, seed: int = 0) -> ResilientTransport:
    """The client's limit, breaker and retries in front of a fleet, for `WorkRequest`s."""
    return ResilientTransport(
        WorkTransport(fleet, settings.timeout_seconds),
        settings,
        listener=None,
        clock=asyncio.get_running_loop().time,
        random=random.Random(seed).random,
        sleep=asyncio.sleep,
    )
