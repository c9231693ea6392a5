"""All layers of one client, put together."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import grpc

from undertone_client.resilience.breaker import BreakerState, CircuitBreaker
from undertone_client.resilience.budget import RetryBudget
from undertone_client.resilience.counts import CallCounts, Counts
from undertone_client.resilience.events import Event, Listener, Opened
from undertone_client.resilience.guard import BreakerGuard
from undertone_client.resilience.hedging import HedgeInterceptor
from undertone_client.resilience.interceptors import BreakerInterceptor, Refused, RetryInterceptor, SlotInterceptor
from undertone_client.resilience.retry import Retry
from undertone_client.resilience.slots import Slots
from undertone_client.settings import Settings


@dataclass(frozen=True, slots=True)
class ClientState:
    """A client at one moment: attempts in flight and waiting for a slot, calls waiting to be tried again, the limit, the
    circuit breaker, and the counts so far."""

    in_flight: int
    waiting: int
    pausing: int
    limit: int
    breaker: BreakerState
    counts: CallCounts


class Resilience:
    """What all calls of a client share: its slots, its circuit breaker, its retry budget and its counts.

    Args:
        settings: those of the client.
        refused: see `SlotInterceptor`.
        listener: hears of every event, after the counts.
        clock, random, sleep: time and chance.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        refused: Refused,
        listener: Listener | None = None,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._counts = Counts()
        self._listener = listener
        self._slots = Slots(settings.limit.build(), self.emit)
        self._guard = BreakerGuard(CircuitBreaker(settings.breaker, clock), self.emit, sleep)
        budget = RetryBudget(settings.budget)
        self.retry = Retry(
            settings.retry,
            budget,
            down=lambda: self._guard.hopeful,
            patience_seconds=settings.breaker.patience_seconds,
            random=random,
            sleep=sleep,
            clock=clock,
        )
        self.interceptors: Sequence[grpc.aio.ClientInterceptor] = (
            RetryInterceptor(self.retry, refused, self.emit),
            *([HedgeInterceptor(settings.hedging, budget, self.emit, sleep)] if settings.hedging else []),
            BreakerInterceptor(self._guard, self.emit),
            SlotInterceptor(self._slots, refused, self.emit, clock),
        )

    @property
    def demand(self) -> int:
        """Calls to keep on offer: what may run, one that waits so that the limit can grow, and some for those that pause.

        The last are bounded, so that a service that refuses everything is not offered ever more.
        """
        return self._slots.limit + 1 + min(self.retry.pausing, self._slots.limit)

    def opened(self) -> None:
        """Tell the listener how things are, before it hears what changes."""
        self.emit(Opened(self._slots.limit, self._guard.state))

    def emit(self, event: Event) -> None:
        """Count the event and tell the listener."""
        self._counts(event)
        if self._listener is not None:
            self._listener(event)

    def state(self) -> ClientState:
        """This moment's."""
        slots = self._slots
        return ClientState(
            slots.in_flight, slots.waiting, self.retry.pausing, slots.limit, self._guard.state, self._counts.snapshot()
        )
