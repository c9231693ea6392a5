"""A second attempt beside one that is not answered in time."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc

from undertone_client.errors import SettingsError
from undertone_client.resilience.budget import RetryBudget
from undertone_client.resilience.calls import Call, Continuation, Details, answered, method_name
from undertone_client.resilience.events import Hedged, Listener
from undertone_client.resilience.mode import Mode
from undertone_client.resilience.progress import current
from undertone_client.resilience.statuses import retried


@dataclass(frozen=True, slots=True)
class HedgingSettings:
    """Another attempt `delay_seconds` after the one before, until there are `attempts` at once; two are nearly always enough.

    A good delay is the latency that one call in twenty exceeds: then one in twenty is sent twice (Dean and Barroso, The Tail
    at Scale, 2013).
    """

    delay_seconds: float
    attempts: int = 2

    def __post_init__(self) -> None:
        if not self.delay_seconds > 0:
            raise SettingsError(f"delay_seconds is {self.delay_seconds}; it must be more than 0, or every call is sent twice")
        if self.attempts < 2:
            raise SettingsError(f"attempts is {self.attempts}; hedging needs at least 2")


class HedgeInterceptor(grpc.aio.UnaryUnaryClientInterceptor):
    """Hedges calls of `Mode.ONLINE` (gRFC A6): the first answer counts, the other attempts are cancelled.

    A hedge passes the circuit breaker and takes a slot as any attempt, and is not sent while the retry budget is spent or after
    the service has pushed back. Failures that a retry may mend are left to the retry layer once no attempt is under way.
    """

    def __init__(
        self, settings: HedgingSettings, budget: RetryBudget, emit: Listener, sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        self._settings = settings
        self._budget = budget
        self._emit = emit
        self._sleep = sleep

    async def intercept_unary_unary(self, continuation: Continuation, client_call_details: Details, request: Any) -> Call:
        """One logical attempt; raises the failure that came last."""
        if current().mode is not Mode.ONLINE:
            return await answered(continuation, client_call_details, request)
        running: set[asyncio.Task[Call]] = {asyncio.create_task(answered(continuation, client_call_details, request))}
        timer = self._timer()
        sent = 1
        try:
            while True:
                awaited = running if timer.done() else {*running, timer}
                done, _ = await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
                for task in running & done:
                    error = task.exception()
                    if error is None:
                        return task.result()
                    running.discard(task)
                    if not running or not _temporary(error):
                        raise error
                    sent = self._settings.attempts  # no more hedges for a service that fails
                if timer in done and sent < self._settings.attempts and self._budget.allows:
                    sent += 1
                    self._emit(Hedged(method_name(client_call_details)))
                    running.add(asyncio.create_task(answered(continuation, client_call_details, request)))
                    timer = self._timer()
        finally:
            timer.cancel()
            for task in running:
                task.cancel()
            await asyncio.gather(*running, timer, return_exceptions=True)

    def _timer(self) -> asyncio.Task[None]:
        async def pause() -> None:
            await self._sleep(self._settings.delay_seconds)

        return asyncio.create_task(pause())


def _temporary(error: BaseException) -> bool:
    return isinstance(error, grpc.aio.AioRpcError) and retried(error.code(), Mode.ONLINE)
