"""Hedging: an additional attempt when one is not answered in time."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from undertone_client.errors import ServiceError, SettingsError, is_retryable
from undertone_client.resilience.events import HedgeSent, Listener
from undertone_client.resilience.retry import RetryBudget
from undertone_client.transport import CallState, Mode, Reply, Request, Transport


@dataclass(frozen=True, slots=True)
class HedgingSettings:
    """Settings of hedging.

    Args:
        delay_seconds: time without an answer after which another attempt is sent. A good value is
            the 95th percentile of latency: one call in twenty is then sent twice (Dean and Barroso,
            The Tail at Scale, 2013).
        attempts: the largest number of attempts in parallel. Two are almost always enough.
    """

    delay_seconds: float
    attempts: int = 2

    def __post_init__(self) -> None:
        if not self.delay_seconds > 0:
            raise SettingsError(f"delay_seconds is {self.delay_seconds}; it must be more than 0, or every call is sent twice")
        if self.attempts < 2:
            raise SettingsError(f"attempts is {self.attempts}; hedging needs at least 2")


class HedgingTransport:
    """Hedges calls of `Mode.ONLINE` (gRFC A6).

    The first reply wins, and the other attempts are cancelled. A hedge passes the circuit breaker
    and takes a slot, as every attempt does. No hedge is sent while the retry budget is spent, or
    after an attempt has failed. A retryable failure is raised once no attempt is in flight.

    Args:
        inner: sends an attempt.
        settings: see `HedgingSettings`.
        budget: the retry budget.
        emit: receives `HedgeSent`.
        sleep: sleeps for a number of seconds.
    """

    def __init__(
        self,
        inner: Transport,
        settings: HedgingSettings,
        budget: RetryBudget,
        emit: Listener,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._inner = inner
        self._settings = settings
        self._budget = budget
        self._emit = emit
        self._sleep = sleep

    async def send(self, request: Request, call: CallState) -> Reply:
        """See `Transport`. Raises the error of the attempt that failed last."""
        if call.mode is not Mode.ONLINE:
            return await self._inner.send(request, call)
        attempts = [asyncio.create_task(self._inner.send(request, call))]
        timer = self._start_timer()
        sent = 1
        try:
            while True:
                pending = attempts if timer.done() else [*attempts, timer]
                done, _ = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for attempt in [attempt for attempt in attempts if attempt in done]:
                    error = attempt.exception()
                    if error is None:
                        return attempt.result()
                    attempts.remove(attempt)
                    if not attempts or not _is_retryable(error):
                        raise error
                    sent = self._settings.attempts  # send no more hedges to a failing service
                if timer in done and sent < self._settings.attempts and self._budget.allows_retry:
                    sent += 1
                    self._emit(HedgeSent(request.method))
                    attempts.append(asyncio.create_task(self._inner.send(request, call)))
                    timer = self._start_timer()
        finally:
            timer.cancel()
            for attempt in attempts:
                attempt.cancel()
            await asyncio.gather(*attempts, timer, return_exceptions=True)

    def _start_timer(self) -> asyncio.Task[None]:
        async def wait() -> None:
            await self._sleep(self._settings.delay_seconds)

        return asyncio.create_task(wait())


def _is_retryable(error: BaseException) -> bool:
    return isinstance(error, ServiceError) and is_retryable(error.status, Mode.ONLINE)
