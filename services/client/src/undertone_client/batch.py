"""A batch over all its attempts.

Keeps the answers, sends refused paragraphs again, and isolates paragraphs that fail the batch.
"""

from collections import deque
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Protocol

import grpc

from undertone_client.errors import BREAKER_FAILURES, POISON, CircuitOpenError, ServiceError, is_retryable
from undertone_client.resilience.retry import FindRemainder, Remainder
from undertone_client.suspects import CONTROL, MAX_ROUNDS, ROUNDS, Health, Suspects, verdict
from undertone_client.transport import CallState, Mode, Reply, Request
from undertone_client.values import Failure, Outcome, Paragraph, Policy, Score
from undertone_client.wire import batch_outcomes, batch_request

WHOLE_ATTEMPTS = 5
"""Consecutive attempts that fail as if the service were down, after which a batch is split."""
PART_ATTEMPTS = 2
"""The same for a part, which then has failed together with others before."""


class BatchTransport(Protocol):
    """Sends requests with retries; see `ResilientTransport`."""

    async def send(self, request: Request, call: CallState, find_remainder: FindRemainder) -> Reply:
        """Send a request and its remainders."""
        ...

    async def back_off(self, call: CallState) -> None:
        """Wait after the failures of the call."""
        ...

    def emit_recovery(self, request: Request, call: CallState) -> None:
        """Report that a failed request continues as other requests."""
        ...


class BatchCall:
    """Sends paragraphs and collects an outcome for each. Used once.

    Args:
        paragraphs: at least one.
        policy: see `Policy`.
        transport: see `BatchTransport`.
        suspects: see `Suspects`. None never isolates paragraphs that make the service unavailable.
    """

    def __init__(
        self, paragraphs: Sequence[Paragraph], policy: Policy, transport: BatchTransport, suspects: Suspects | None
    ) -> None:
        self._paragraphs = paragraphs
        self._policy = policy
        self._transport = transport
        self._suspects = suspects
        self._outcomes: dict[int, Outcome] = {}
        self._parts: deque[_Part] = deque()
        self._is_isolating = False

    async def run(self, call: CallState) -> list[Outcome]:
        """An outcome for each paragraph, in order. A `ServiceError` fails every paragraph."""
        if call.mode is Mode.BATCH and self._suspects is not None:
            call.isolate_after = WHOLE_ATTEMPTS
        self._parts.append(_Part(range(len(self._paragraphs)), call))
        async with AsyncExitStack() as stack:
            # One part after the other: a failing service must not receive more parallel calls.
            # Halves go to the end, so that all parts of one size come before the smaller ones.
            while self._parts:
                part = self._parts.popleft()
                if isinstance(part, _Suspect):
                    if not self._is_isolating:
                        await stack.enter_async_context(part.suspects.lock)
                        self._is_isolating = True
                    await self._isolate(part)
                else:
                    await self._score(part)
        return [self._outcomes[index] for index in range(len(self._paragraphs))]

    async def _isolate(self, part: "_Suspect") -> None:
        if len(part.indices) == 1:
            await self._examine(part)
        elif await self._send_control(part.call) is None:
            self._fail(part.indices, part.cause, part.call)
        else:
            # The circuit breaker is closed now, so that the part does not wait for it.
            await self._score(part)

    async def _score(self, part: "_Part") -> None:
        undelivered = await self._deliver(part.indices, part.call)
        if undelivered is None:
            return
        pending, error = undelivered.indices, undelivered.error
        if isinstance(error, CircuitOpenError):
            self._fail(pending, part.cause or error, part.call)
        elif error.status in POISON and len(pending) > 1:
            self._split(part, undelivered, part.suspects if isinstance(part, _Suspect) else None)
        elif self._suspects is not None and self._is_suspect(error, part.call):
            self._split(part, undelivered, self._suspects)
        else:
            self._fail(pending, error, part.call)

    async def _deliver(self, indices: Sequence[int], call: CallState) -> "_Undelivered | None":
        """Send paragraphs, and record their outcomes. Returns those whose call failed."""
        pending = indices

        def find_remainder(reply: Reply) -> Remainder | None:
            nonlocal pending
            outcomes = batch_outcomes(reply.message, [self._paragraphs[index] for index in pending], attempts=call.attempts)
            refused: dict[int, grpc.StatusCode] = {}
            for index, outcome in zip(pending, outcomes, strict=True):
                self._outcomes[index] = outcome
                if isinstance(outcome, Failure) and is_retryable(outcome.status, call.mode):
                    refused[index] = outcome.status
            if not refused:
                return None
            is_partial = len(refused) < len(pending)
            pending = list(refused)
            # RESOURCE_EXHAUSTED takes precedence, because it is retried the longest.
            exhausted = grpc.StatusCode.RESOURCE_EXHAUSTED
            status = exhausted if exhausted in refused.values() else next(iter(refused.values()))
            return Remainder(self._request(pending), status, is_partial)

        try:
            await self._transport.send(self._request(indices), call, find_remainder)
        except ServiceError as error:
            return _Undelivered(pending, error)
        last = [outcome for index in pending if isinstance(outcome := self._outcomes[index], Failure)]
        if len(last) == len(pending) and all(self._is_suspect(failure.error(), call) for failure in last):
            return _Undelivered(pending, last[0].error())
        return None

    def _is_suspect(self, error: ServiceError, call: CallState) -> bool:
        """Whether the content of a call may be the reason that it failed again and again."""
        return (
            call.isolate_after is not None
            and error.status in BREAKER_FAILURES
            and call.failures_in_a_row >= min(PART_ATTEMPTS, call.isolate_after)
        )

    async def _examine(self, part: "_Suspect") -> None:
        """Decide whether a single paragraph makes the service fail, or the service is down."""
        call, error = part.call, part.cause
        call.isolate_after = 1
        rounds = 0
        for _ in range(MAX_ROUNDS):
            await self._transport.back_off(call)
            health = await part.suspects.check_health(lambda: self._send_control(call))
            if health is Health.DOWN:
                break
            undelivered = await self._deliver(part.indices, call)
            if undelivered is None:
                return
            if isinstance(undelivered.error, CircuitOpenError):
                break
            error = undelivered.error
            if not self._is_suspect(error, call):
                break
            rounds = rounds + 1 if health is Health.STEADY else 0
            if rounds == ROUNDS:
                status, reason = verdict(error)
                self._outcomes[part.indices[0]] = Failure(self._paragraphs[part.indices[0]], status, reason, call.attempts)
                return
        self._fail(part.indices, error, call)

    async def _send_control(self, call: CallState) -> int | None:
        control = CallState(call.mode, call.deadline)
        (outcome,) = await BatchCall([CONTROL], self._policy, self._transport, None).run(control)
        return control.attempts if isinstance(outcome, Score) else None

    def _split(self, part: "_Part", undelivered: "_Undelivered", suspects: Suspects | None) -> None:
        """Send the halves of a part separately; a single suspect with control calls."""
        pending, cause = undelivered.indices, undelivered.error
        half = len(pending) // 2
        if half:
            self._transport.emit_recovery(self._request(pending), part.call)
        for indices in (pending[:half], pending[half:]):
            if not indices:
                continue
            call = part.call.for_part()
            call.unrecovered_failures = part.call.unrecovered_failures
            if suspects is None:
                call.isolate_after = part.call.isolate_after
                self._parts.append(_Part(indices, call, cause))
            else:
                call.isolate_after = PART_ATTEMPTS
                self._parts.append(_Suspect(indices, call, cause, suspects))

    def _fail(self, pending: Sequence[int], error: ServiceError, call: CallState) -> None:
        for index in pending:
            self._outcomes[index] = Failure(self._paragraphs[index], error.status, error.reason, call.attempts)

    def _request(self, indices: Sequence[int]) -> Request:
        return batch_request((self._paragraphs[index] for index in indices), self._policy)


@dataclass(frozen=True, slots=True)
class _Undelivered:
    """Paragraphs whose call failed, and the error of its last attempt."""

    indices: Sequence[int]
    error: ServiceError


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of the batch that is still to be sent.

    Args:
        indices: its paragraphs.
        call: the state of its call.
        cause: why the call that contained this part was split. None for the whole batch.
    """

    indices: Sequence[int]
    call: CallState
    cause: ServiceError | None = None


@dataclass(frozen=True, slots=True)
class _Suspect(_Part):
    """A part of a call that failed again and again as if the service were down."""

    cause: ServiceError
    suspects: Suspects
