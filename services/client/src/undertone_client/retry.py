"""Trying a call again: which failures, how often, and after how long."""

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import grpc

from undertone_client.errors import ServiceError, SettingsError

RETRIED = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED})
"""Status codes after which the service did not do the work, so that asking again is safe and may help."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a call is tried, the first time included, and how long it waits in between.

    The wait before attempt n + 1 is drawn evenly from zero to `initial_seconds * multiplier ** (n - 1)`, at most
    `max_seconds`: "full jitter", which spreads a crowd of clients the most (Brooker, Exponential Backoff And Jitter, 2015).
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

    def ceiling(self, attempt: int) -> float:
        """The longest wait after attempt number `attempt`, in seconds."""
        # The exponent is bounded so that a patient job cannot overflow the float.
        return min(self.max_seconds, self.initial_seconds * self.multiplier ** min(attempt - 1, 64))


class Retry:
    """Runs a call until it succeeds, fails for good, or has used up its attempts."""

    def __init__(
        self,
        policy: RetryPolicy,
        *,
        random: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._policy = policy
        self._random = random
        self._sleep = sleep

    async def run(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """What `attempt` returns, the first time that it does not fail with one of RETRIED.

        Raises:
            ServiceError: that of the last attempt, with the number of attempts made.
        """
        for number in itertools.count(1):
            try:
                return await attempt()
            except ServiceError as error:
                error.attempts = number
                wait = self._wait(error, number)
                if wait is None:
                    raise
            await self._sleep(wait)
        raise AssertionError("unreachable")

    def _wait(self, error: ServiceError, number: int) -> float | None:
        if error.status not in RETRIED or number >= self._policy.attempts:
            return None
        if error.pushback_seconds is None:
            return self._random() * self._policy.ceiling(number)
        if error.pushback_seconds < 0:
            return None
        # The service's word is the least; the jitter keeps the crowd that heard the same number from returning as one.
        return error.pushback_seconds + self._random() * self._policy.initial_seconds
