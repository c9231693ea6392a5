"""Trying a call again: which failures, how often, and after how long."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import grpc

from undertone_client.errors import SettingsError
from undertone_client.resilience.budget import RetryBudget
from undertone_client.resilience.mode import Mode
from undertone_client.resilience.progress import Progress
from undertone_client.resilience.refusals import Refusals
from undertone_client.resilience.statuses import retried


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a call is tried, the first time included, and how long it waits in between.

    The wait after failure number n is drawn evenly from zero to `initial_seconds * multiplier ** (n - 1)`, at most
    `max_seconds`: "full jitter", which spreads a crowd of clients the most (Brooker, Exponential Backoff And Jitter, 2015).
    Five attempts are the paper's: the first and four more.
    """

    attempts: int = 5
    initial_seconds: float = 0.2
    multiplier: float = 2.0
    max_seconds: float = 10.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise SettingsError(f"attempts is {self.attempts}; at least 1 is needed, which tries once and never again")
        if self.initial_seconds < 0 or self.max_seconds < self.initial_seconds:
            raise SettingsError(
                f"initial_seconds {self.initial_seconds} and max_seconds {self.max_seconds}: needed is 0 <= initial <= max"
            )
        if self.multiplier < 1:
            raise SettingsError(f"multiplier is {self.multiplier}; at least 1 is needed, or the waits would shrink")

    def ceiling(self, failure: int) -> float:
        """The longest wait after failure number `failure`, in seconds."""
        # The exponent is bounded so that a patient job cannot overflow the float.
        return min(self.max_seconds, self.initial_seconds * self.multiplier ** min(failure - 1, 64))


class Retry:
    """Decides whether a failed call is tried again and when; shared by all calls of a client.

    Args:
        policy: see `RetryPolicy`.
        budget: each failure takes from it. When it is spent, a call of `Mode.ONLINE` is not tried again, and one of
            `Mode.BATCH` waits up to `policy.max_seconds`.
        down: whether the service is known not to work and may yet return. Failures then say nothing about the call, and in
            `Mode.BATCH` count neither against it nor against the budget: the circuit breaker spaces and bounds them.
        patience_seconds: how long RESOURCE_EXHAUSTED does not count against a call of `Mode.BATCH`; see `Refusals`.
        random: numbers from 0 up to 1, for the jitter.
        sleep: waits for so many seconds.
        clock: seconds, for the deadline of the call as a whole.
    """

    def __init__(
        self,
        policy: RetryPolicy,
        budget: RetryBudget,
        *,
        down: Callable[[], bool],
        patience_seconds: float,
        random: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float],
    ) -> None:
        self._policy = policy
        self._budget = budget
        self._down = down
        self._random = random
        self._sleep = sleep
        self._clock = clock
        self._refusals = Refusals(patience_seconds, clock)
        self._pausing = 0

    @property
    def pausing(self) -> int:
        """Calls that wait before they are tried again."""
        return self._pausing

    def succeeded(self) -> None:
        """An attempt was answered."""
        self._budget.succeeded()

    def advanced(self, progress: Progress) -> None:
        """The call, or a part of it, was answered by an attempt: the service has room."""
        self._refusals.end(progress)

    def wait(self, status: grpc.StatusCode, pushback_seconds: float | None, progress: Progress) -> float | None:
        """Seconds to wait before the next attempt; None if there is to be none. Notes in `progress` what counts.

        `pushback_seconds` is what the service asked for: None for nothing, negative for "do not retry" (gRFC A6).
        """
        if not retried(status, progress.mode):
            return None
        batch = progress.mode is Mode.BATCH
        if not (batch and self._down()):
            self._budget.failed()
            full = batch and status is grpc.StatusCode.RESOURCE_EXHAUSTED
            if not (full and self._refusals.bear(progress)):
                progress.strikes += 1
        refused = pushback_seconds is not None and pushback_seconds < 0
        if refused or progress.strikes >= self._policy.attempts or not (batch or self._budget.allows):
            return None
        wait = self._random() * self._ceiling(progress)
        if pushback_seconds is not None:
            # The service's word is the least; the jitter keeps the crowd that heard the same number from returning as one.
            wait += pushback_seconds
        if self._clock() + wait >= progress.deadline:
            return None
        return wait

    async def pause(self, seconds: float) -> None:
        """Wait, holding nothing."""
        self._pausing += 1
        try:
            await self._sleep(seconds)
        finally:
            self._pausing -= 1

    def _ceiling(self, progress: Progress) -> float:
        failures = max(1, progress.strikes + progress.refusals)
        return self._policy.ceiling(failures) if self._budget.allows else self._policy.max_seconds
