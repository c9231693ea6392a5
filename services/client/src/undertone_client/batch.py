"""A batch over all its attempts.

Keeps the answers, sends refused paragraphs again, and isolates paragraphs that fail the batch.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import grpc

from undertone_client.errors import POISON, CircuitOpenError, ServiceError, is_retryable
from undertone_client.resilience.retry import FindRemainder, Remainder
from undertone_client.transport import CallState, Mode, Reply, Request
from undertone_client.values import Failure, Outcome, Paragraph, Policy
from undertone_client.wire import batch_outcomes, batch_request

WHOLE_ATTEMPTS = 5
"""Consecutive attempts with UNAVAILABLE after which a batch is split."""
PART_ATTEMPTS = 2
"""The same for a part, which then has failed together with others before."""


class Send(Protocol):
    """Sends a request and its remainders; see `RetryTransport.send`."""

    async def __call__(self, request: Request, call: CallState, find_remainder: FindRemainder) -> Reply: ...


class BatchCall:
    """Sends paragraphs and collects an outcome for each. Used once.

    Args:
        paragraphs: at least one.
        policy: see `Policy`.
        send: see `Send`.
        emit_recovery: called when a failed request is split in two.
    """

    def __init__(
        self,
        paragraphs: Sequence[Paragraph],
        policy: Policy,
        send: Send,
        emit_recovery: Callable[[Request, CallState], None],
    ) -> None:
        self._paragraphs = paragraphs
        self._policy = policy
        self._send = send
        self._emit_recovery = emit_recovery
        self._outcomes: dict[int, Outcome] = {}
        self._parts: deque[_Part] = deque()
        self._answers = 0  # replies that answered paragraphs

    async def run(self, call: CallState) -> list[Outcome]:
        """An outcome for each paragraph, in order. A `ServiceError` fails every paragraph."""
        call.isolate_after = WHOLE_ATTEMPTS if call.mode is Mode.BATCH and len(self._paragraphs) > 1 else None
        self._parts.append(_Part(range(len(self._paragraphs)), call))
        # One part after the other: a failing service must not receive more parallel calls. Halves
        # go to the end, so that healthy parts are answered between two failures of others.
        while self._parts:
            await self._score(self._parts.popleft())
        return [self._outcomes[index] for index in range(len(self._paragraphs))]

    async def _score(self, part: "_Part") -> None:
        pending, call = part.indices, part.call

        def find_remainder(reply: Reply) -> Remainder | None:
            nonlocal pending
            outcomes = batch_outcomes(reply.message, [self._paragraphs[index] for index in pending], attempts=call.attempts)
            refused: dict[int, grpc.StatusCode] = {}
            for index, outcome in zip(pending, outcomes, strict=True):
                self._outcomes[index] = outcome
                if isinstance(outcome, Failure) and is_retryable(outcome.status, call.mode):
                    refused[index] = outcome.status
            self._answers += len(refused) < len(pending)
            if not refused:
                return None
            is_partial = len(refused) < len(pending)
            pending = list(refused)
            # RESOURCE_EXHAUSTED takes precedence, because it is retried the longest.
            exhausted = grpc.StatusCode.RESOURCE_EXHAUSTED
            status = exhausted if exhausted in refused.values() else next(iter(refused.values()))
            return Remainder(self._request(pending), status, is_partial)

        request = self._request(part.indices)
        try:
            await self._send(request, call, find_remainder)
        except CircuitOpenError as error:
            self._fail(pending, part.cause or error, call)
        except ServiceError as error:
            if error.status in POISON and len(pending) > 1:
                self._split(part, pending, request, error, isolate=False)
            elif self._is_suspect(error.status, call):
                self._isolate(part, pending, request, error)
            else:
                self._fail(pending, error, call)
        else:
            last = [outcome for index in pending if isinstance(outcome := self._outcomes[index], Failure)]
            if len(last) == len(pending) > 1 and all(self._is_suspect(failure.status, call) for failure in last):
                self._split(part, pending, request, last[0].error(), isolate=True)

    def _is_suspect(self, status: grpc.StatusCode, call: CallState) -> bool:
        """Whether the content of a call may have made the service unavailable again and again."""
        return call.mode is Mode.BATCH and status is grpc.StatusCode.UNAVAILABLE and call.unavailable_in_a_row >= PART_ATTEMPTS

    def _isolate(self, part: "_Part", pending: Sequence[int], request: Request, error: ServiceError) -> None:
        """Split a call that is unavailable again and again; decide about a single paragraph."""
        if len(pending) > 1:
            self._split(part, pending, request, error, isolate=True)
        elif part.cause is None or part.call.isolate_after is None or self._answers > part.answers:
            # The call was not split, has used up all patience, or others were answered meanwhile.
            self._fail(pending, error, part.call)
        else:
            # Without an answer to others, the service may be down: try once more after them, then
            # wait as for every service that is down.
            call = part.call.for_part()
            call.isolate_after = None if part.is_postponed else PART_ATTEMPTS
            self._parts.append(_Part(pending, call, error, is_postponed=True))

    def _split(self, part: "_Part", pending: Sequence[int], request: Request, error: ServiceError, *, isolate: bool) -> None:
        self._emit_recovery(request, part.call)
        half = len(pending) // 2
        for indices in (pending[:half], pending[half:]):
            call = part.call.for_part()
            call.isolate_after = PART_ATTEMPTS if isolate or part.cause is not None else part.call.isolate_after
            self._parts.append(_Part(indices, call, error, self._answers))

    def _fail(self, pending: Sequence[int], error: ServiceError, call: CallState) -> None:
        for index in pending:
            self._outcomes[index] = Failure(self._paragraphs[index], error.status, error.reason, call.attempts)

    def _request(self, indices: Sequence[int]) -> Request:
        return batch_request((self._paragraphs[index] for index in indices), self._policy)


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of the batch that is still to be sent.

    Args:
        indices: its paragraphs.
        call: the state of its call.
        cause: why the call that contained this part was split. None for the whole batch.
        answers: number of answered calls of the batch before this part; 0 for a postponed one.
        is_postponed: whether the part, a single paragraph, failed once without an answer to others.
    """

    indices: Sequence[int]
    call: CallState
    cause: ServiceError | None = None
    answers: int = 0
    is_postponed: bool = False
