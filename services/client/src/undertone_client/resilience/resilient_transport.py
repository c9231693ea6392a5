"""The layers between a client and its gRPC transport: deadline, retry, hedging, breaker, slots."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import grpc

from undertone_client.errors import DeadlineExceededError
from undertone_client.resilience.breaker import BreakerTransport, CircuitBreaker
from undertone_client.resilience.counts import CallCounts, EventCounter
from undertone_client.resilience.events import BreakerState, ClientOpened, Event, Listener
from undertone_client.resilience.hedging import HedgingTransport
from undertone_client.resilience.retry import FindRemainder, OverloadGrace, RetryBudget, RetryTransport
from undertone_client.resilience.slots import Slots, SlotTransport
from undertone_client.settings import Settings
from undertone_client.transport import CallState, Mode, Reply, Request, Transport


@dataclass(frozen=True, slots=True)
class ClientState:
    """A snapshot of a client.

    Args:
        in_flight: number of attempts in flight.
        waiting: number of attempts that wait for a slot.
        backing_off: number of calls that wait for their next attempt.
        limit: the concurrency limit.
        breaker: the state of the circuit breaker.
        counts: the counts since the client was created.
    """

    in_flight: int
    waiting: int
    backing_off: int
    limit: int
    breaker: BreakerState
    counts: CallCounts


class ResilientTransport:
    """Wraps a transport in deadline( retry( hedge( breaker( slot( transport ))))).

    All calls of a client share it. A call in backoff holds no slot. Each attempt passes the circuit
    breaker and takes a slot of its own. The layers below the retries pass every error on.

    Args:
        inner: sends an attempt.
        settings: the settings of the client.
        listener: receives all events, after the counts.
        clock, random, sleep: see `Client`.
    """

    def __init__(
        self,
        inner: Transport,
        settings: Settings,
        *,
        listener: Listener | None,
        clock: Callable[[], float],
        random: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._counter = EventCounter()
        self._listener = listener
        self._slots = Slots(settings.limit.build(), self.emit)
        slot = SlotTransport(inner, self._slots, self.emit, clock)
        self._breaker = BreakerTransport(slot, CircuitBreaker(settings.breaker, clock), self.emit, sleep)
        budget = RetryBudget(settings.budget)
        attempt: Transport = self._breaker
        if settings.hedging is not None:
            attempt = HedgingTransport(attempt, settings.hedging, budget, self.emit, sleep)
        self._retry = RetryTransport(
            attempt,
            settings.retry,
            budget,
            OverloadGrace(settings.breaker.patience_seconds, clock),
            may_recover=lambda: self._breaker.may_recover,
            emit=self.emit,
            random=random,
            sleep=sleep,
            clock=clock,
        )

    @property
    def desired_calls(self) -> int:
        """Number of calls to start at once.

        As many as the limit, one that waits so that the limit can grow, and as many as are in
        backoff, up to the limit. The bound keeps a service that refuses everything from receiving
        ever more calls.
        """
        return self._slots.limit + 1 + min(self._retry.backing_off, self._slots.limit)

    def start_call(self, default_mode: Mode) -> CallState:
        """The state of a new call, with the mode and the deadline of the settings."""
        limit = self._settings.deadline_seconds
        return CallState(self._settings.mode or default_mode, math.inf if limit is None else self._clock() + limit)

    async def send(self, request: Request, call: CallState, find_remainder: FindRemainder = lambda _: None) -> Reply:
        """See `RetryTransport.send`.

        Raises:
            DeadlineExceededError: the deadline of the call passed.
        """
        try:
            async with asyncio.timeout(None if call.deadline == math.inf else call.deadline - self._clock()):
                return await self._retry.send(request, call, find_remainder)
        except TimeoutError:
            reason = f"no answer within deadline_seconds {self._settings.deadline_seconds}"
            raise DeadlineExceededError(grpc.StatusCode.DEADLINE_EXCEEDED, reason, attempts=call.attempts) from None

    async def back_off(self, call: CallState) -> None:
        """See `RetryTransport.back_off`."""
        await self._retry.back_off(call)

    def emit_recovery(self, request: Request, call: CallState) -> None:
        """Report that the failures of the call so far were recovered."""
        self._retry.emit_recovery(request, call)

    def emit_opened(self) -> None:
        """Report the initial limit and breaker state."""
        self.emit(ClientOpened(self._slots.limit, self._breaker.state))

    def emit(self, event: Event) -> None:
        """Count an event and pass it to the listener."""
        self._counter(event)
        if self._listener is not None:
            self._listener(event)

    def state(self) -> ClientState:
        """The current state."""
        return ClientState(
            in_flight=self._slots.in_flight,
            waiting=self._slots.waiting,
            backing_off=self._retry.backing_off,
            limit=self._slots.limit,
            breaker=self._breaker.state,
            counts=self._counter.snapshot(),
        )
