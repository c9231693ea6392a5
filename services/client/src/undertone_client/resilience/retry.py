"""Retries: which failures are retried, how often, and after which wait."""

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import grpc

from undertone_client.errors import BREAKER_FAILURES, CircuitOpenError, ServiceError, SettingsError, is_retryable
from undertone_client.resilience.events import CallRecovered, Listener, RetryScheduled
from undertone_client.transport import CallState, Mode, Reply, Request, Transport


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Number of attempts of a call, and the waits between them.

    The wait after failure n is drawn uniformly from 0 to `initial_seconds` * `multiplier`^(n-1), at
    most `max_seconds`: full jitter (Brooker, Exponential Backoff And Jitter, 2015). The default of
    five attempts is the paper's.

    Args:
        attempts: the largest number of attempts, the first included.
        initial_seconds: upper bound of the first wait.
        multiplier: growth of the upper bound per failure.
        max_seconds: upper bound of every wait.
    """

    attempts: int = 5
    initial_seconds: float = 0.2
    multiplier: float = 2.0
    max_seconds: float = 10.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise SettingsError(f"attempts is {self.attempts}; it must be at least 1, which never retries")
        if self.initial_seconds < 0 or self.max_seconds < self.initial_seconds:
            raise SettingsError(
                f"initial_seconds is {self.initial_seconds} and max_seconds {self.max_seconds}; "
                "needs 0 <= initial_seconds <= max_seconds"
            )
        if self.multiplier < 1:
            raise SettingsError(f"multiplier is {self.multiplier}; it must be at least 1")

    def max_wait(self, failure: int) -> float:
        """The longest wait after a failure, in seconds. The number `failure` starts at 1."""
        # The exponent is bounded so that thousands of failures cannot overflow the float.
        return min(self.max_seconds, self.initial_seconds * self.multiplier ** min(failure - 1, 64))


@dataclass(frozen=True, slots=True)
class BudgetSettings:
    """Settings of the retry budget (gRFC A6, "throttling retry attempts").

    Half of the tokens can be spent in a row. In the long run there are at most `ratio` retries per
    success.

    Args:
        tokens: size of the token bucket, which starts full.
        ratio: tokens that each success returns.
    """

    tokens: float = 100.0
    ratio: float = 0.1

    def __post_init__(self) -> None:
        if not self.tokens > 0:
            raise SettingsError(f"tokens is {self.tokens}; it must be more than 0")
        if not self.ratio > 0:
            raise SettingsError(f"ratio is {self.ratio}; it must be more than 0, or a spent budget would never refill")


class RetryBudget:
    """The token bucket of gRFC A6. It keeps retries from overloading the service further."""

    def __init__(self, settings: BudgetSettings) -> None:
        self._size = settings.tokens
        self._ratio = settings.ratio
        self._tokens = settings.tokens

    @property
    def tokens(self) -> float:
        """Remaining tokens."""
        return self._tokens

    @property
    def allows_retry(self) -> bool:
        """Whether more than half of the tokens remain, so that a retry or a hedge may be sent."""
        return self._tokens > self._size / 2

    def record_failure(self) -> None:
        """Take a token, because an attempt failed with a retryable status."""
        self._tokens = max(0.0, self._tokens - 1)

    def record_success(self) -> None:
        """Return `ratio` tokens, because an attempt succeeded."""
        self._tokens = min(self._size, self._tokens + self._ratio)


class OverloadGrace:
    """The period in which RESOURCE_EXHAUSTED does not count as a failure.

    A call that is refused while other calls succeed has its own period, which starts with its first
    refusal. While no call succeeds, all calls of the client share one period. A call that starts
    after the end of the shared period has no period of its own.

    Args:
        patience_seconds: length of the period.
        clock: a monotonic clock, in seconds.
    """

    def __init__(self, patience_seconds: float, clock: Callable[[], float]) -> None:
        self._patience_seconds = patience_seconds
        self._clock = clock
        self._overloaded_since: float | None = None
        self._last_refusal = -math.inf

    def record_refusal(self, call: CallState) -> bool:
        """Record a refusal of the call. Returns whether the period of the call continues."""
        now = self._clock()
        # After a pause of this length, the state of the service is unknown.
        if self._overloaded_since is None or now - self._last_refusal > self._patience_seconds:
            self._overloaded_since = now
        self._last_refusal = now
        if call.overloaded_since is None:
            call.overloaded_since = now
        call.overload_refusals += 1
        return now - min(self._overloaded_since, call.overloaded_since) < self._patience_seconds

    def reset(self, call: CallState) -> None:
        """End the period, because the service answered the call or a part of it."""
        self._overloaded_since = call.overloaded_since = None
        call.overload_refusals = 0


@dataclass(frozen=True, slots=True)
class Remainder:
    """The refused part of a request.

    Args:
        request: the request for the refused paragraphs.
        status: the status that decides about the retry.
        is_partial: whether other paragraphs were answered.
    """

    request: Request
    status: grpc.StatusCode
    is_partial: bool


FindRemainder = Callable[[Reply], Remainder | None]


class RetryTransport:
    """Sends a request until it is answered completely or must not be retried.

    The only place that decides about retries.

    Args:
        inner: sends an attempt.
        policy: see `RetryPolicy`.
        budget: see `RetryBudget`. While it is spent, calls of `Mode.ONLINE` are not retried, and
            calls of `Mode.BATCH` wait up to `policy.max_seconds`.
        grace: see `OverloadGrace`. Applies to calls of `Mode.BATCH`.
        may_recover: whether the circuit breaker is open and calls wait for it. Failures then do not
            count against a call of `Mode.BATCH` or the budget, because the breaker already spaces
            and bounds them.
        emit: receives `RetryScheduled` and `CallRecovered`.
        random: uniform random numbers from 0 to 1, for the jitter.
        sleep: sleeps for a number of seconds.
        clock: a monotonic clock, in seconds.
    """

    def __init__(
        self,
        inner: Transport,
        policy: RetryPolicy,
        budget: RetryBudget,
        grace: OverloadGrace,
        *,
        may_recover: Callable[[], bool],
        emit: Listener,
        random: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        clock: Callable[[], float],
    ) -> None:
        self._inner = inner
        self._policy = policy
        self._budget = budget
        self._grace = grace
        self._may_recover = may_recover
        self._emit = emit
        self._random = random
        self._sleep = sleep
        self._clock = clock
        self._backing_off = 0

    @property
    def backing_off(self) -> int:
        """Number of calls that wait for their next attempt."""
        return self._backing_off

    async def send(self, request: Request, call: CallState, find_remainder: FindRemainder = lambda _: None) -> Reply:
        """Send a request, and the remainders that `find_remainder` finds. Returns the last reply.

        Raises:
            ServiceError: the last attempt failed.
        """
        while True:
            try:
                reply = await self._inner.send(request, call)
            except CircuitOpenError:
                raise  # no attempt was sent
            except ServiceError as error:
                status, wait = error.status, self.record_failure(error.status, error.pushback_seconds, call)
                if wait is None:
                    error.attempts = call.attempts
                    raise
            else:
                self._budget.record_success()
                if reply.refused_status is None:
                    self._grace.reset(call)
                    self.emit_recovery(request, call)
                remainder = find_remainder(reply)
                if remainder is None:
                    return reply
                if remainder.is_partial:
                    self._grace.reset(call)
                    call.failures_in_a_row = 0
                request, status = remainder.request, remainder.status
                wait = self.record_failure(status, reply.pushback_seconds, call)
                if wait is None:
                    return reply
            self._emit(RetryScheduled(request.method, status, call.attempts + 1, wait))
            await self._back_off(wait)

    def emit_recovery(self, request: Request, call: CallState) -> None:
        """Emit `CallRecovered` if the call had failures since its last complete reply."""
        if call.unrecovered_failures:
            self._emit(CallRecovered(request.method, call.unrecovered_failures))
            call.unrecovered_failures = 0

    def record_failure(self, status: grpc.StatusCode, pushback_seconds: float | None, call: CallState) -> float | None:
        """Record a failed attempt in `call`, the budget and the grace period.

        Returns the seconds to wait before the next attempt; None if there must not be one. A
        negative `pushback_seconds` means "do not retry" (gRFC A6).
        """
        if not is_retryable(status, call.mode):
            return None
        is_batch = call.mode is Mode.BATCH
        call.failures_in_a_row = call.failures_in_a_row + 1 if status in BREAKER_FAILURES else 0
        if not (is_batch and self._may_recover()):
            self._budget.record_failure()
            is_overload = is_batch and status is grpc.StatusCode.RESOURCE_EXHAUSTED
            if not (is_overload and self._grace.record_refusal(call)):
                call.counted_failures += 1
        is_forbidden = pushback_seconds is not None and pushback_seconds < 0
        if is_forbidden or call.counted_failures >= self._policy.attempts or not (is_batch or self._budget.allows_retry):
            return None
        if call.isolate_after is not None and call.failures_in_a_row >= call.isolate_after:
            return None
        wait = self._random() * self._max_wait(call)
        if pushback_seconds is not None:
            # Jitter is added, so that clients with the same pushback do not retry at the same time.
            wait += pushback_seconds
        return wait if self._clock() + wait < call.deadline else None

    async def back_off(self, call: CallState) -> None:
        """Wait as before the next attempt of a call that had `call.failures_in_a_row` failures."""
        await self._back_off(self._random() * self._policy.max_wait(max(1, call.failures_in_a_row)))

    def _max_wait(self, call: CallState) -> float:
        if not self._budget.allows_retry:
            return self._policy.max_seconds
        return self._policy.max_wait(max(1, call.counted_failures + call.overload_refusals))

    async def _back_off(self, seconds: float) -> None:
        self._backing_off += 1
        try:
            await self._sleep(seconds)
        finally:
            self._backing_off -= 1
