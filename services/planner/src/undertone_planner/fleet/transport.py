"""A transport of the client that leads to a simulated fleet instead of a socket.

As with gRPC, messages are serialized, each attempt has a deadline that ends it with
DEADLINE_EXCEEDED, and cancelling the caller cancels the attempt.
"""

import asyncio
import random

import grpc
from undertone_client import CallState, Client, Reply, Request, Settings
from undertone_client.errors import service_error
from undertone_client.resilience import Listener
from undertone_client.wire import read_reply

from undertone_planner.fleet.fleet import Fleet
from undertone_planner.fleet.pod import CallError


class FleetTransport:
    """Sends requests to a fleet. `timeout_seconds` is the deadline of one attempt."""

    def __init__(self, fleet: Fleet, timeout_seconds: float) -> None:
        self._fleet = fleet
        self._timeout_seconds = timeout_seconds

    async def send(self, request: Request, call: CallState) -> Reply:
        """See `undertone_client.Transport`."""
        request.message.SerializeToString()
        left = call.deadline - asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(min(self._timeout_seconds, left)):
                return read_reply(*await self._fleet.answer(request.method, request.message))
        except TimeoutError:
            raise service_error(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded") from None
        except CallError as error:
            pushback = None if error.pushback_ms is None else error.pushback_ms / 1000
            raise service_error(error.status, error.reason, pushback_seconds=pushback) from None


def fleet_client(fleet: Fleet, settings: Settings, *, seed: int = 0, listener: Listener | None = None) -> Client:
    """The real client on the running loop's clock, with a fleet in place of the gRPC connection."""
    return Client(
        settings=settings,
        listener=listener,
        transport=FleetTransport(fleet, settings.timeout_seconds),
        clock=asyncio.get_running_loop().time,
        random=random.Random(seed).random,
    )
