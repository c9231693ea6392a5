"""A fixed number of calls in flight, without retries."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import grpc
import grpc.aio
from undertone_protos.v1 import classifier_pb2, classifier_pb2_grpc

_DEADLINE_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 0.05
"""Pause of a caller after a failed call, so that failures do not multiply without bound."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed call: the time at which it started (time.monotonic), gRPC code and message."""

    started: float
    code: str
    message: str


class Load:
    """Keeps `in_flight` calls of Classify in flight over one channel to all targets.

    Attributes:
        calls: Number of calls that have ended.
        failures: The calls among them that failed.
    """

    def __init__(self, in_flight: int) -> None:
        self.calls = 0
        self.failures: list[Failure] = []
        self._in_flight = in_flight

    async def wait_calls(self, count: int) -> None:
        """Waits for the end of `count` further calls."""
        wanted = self.calls + count
        while self.calls < wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    async def run(self, targets: Sequence[str]) -> None:
        """Calls the targets, host:port, in turn until cancelled."""
        # Retries of gRPC itself are off, except for calls that no server has seen.
        options = (
            ("grpc.lb_policy_name", "round_robin"),
            ("grpc.enable_retries", 0),
            # Reconnects to an Envoy that was killed before the other Envoy is killed. The default
            # backoff grows to two minutes.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 500),
        )
        async with grpc.aio.insecure_channel(f"ipv4:{','.join(targets)}", options=options) as channel:
            stub = classifier_pb2_grpc.ClassifierStub(channel)
            async with asyncio.TaskGroup() as group:
                for number in range(self._in_flight):
                    group.create_task(self._call_forever(stub, number))

    async def _call_forever(self, stub: "classifier_pb2_grpc.ClassifierAsyncStub", number: int) -> None:
        request = classifier_pb2.ClassifyRequest(id=str(number), text="the rain had stopped and she laughed")
        while True:
            started = time.monotonic()
            try:
                await stub.Classify(request, timeout=_DEADLINE_SECONDS)
            except grpc.aio.AioRpcError as error:
                self.failures.append(Failure(started, error.code().name, error.details() or ""))
                await asyncio.sleep(_PAUSE_SECONDS)
            self.calls += 1

    def summary(self, failures: Sequence[Failure]) -> str:
        """The codes and messages of failures with their numbers."""
        counts = Counter(f"{failure.code}: {failure.message[:100]}" for failure in failures)
        return "; ".join(f"{number} {what}" for what, number in counts.most_common(4))
