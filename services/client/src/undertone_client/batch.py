"""A batch over all its attempts.

Keeps the answers, sends refused paragraphs again, and isolates paragraphs that fail the batch.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import grpc

from undertone_client.errors import POISON, ServiceError, is_retryable
from undertone_client.resilience.retry import FindRemainder, Remainder
from undertone_client.transport import CallState, Reply, Request
from undertone_client.values import Failure, Outcome, Paragraph, Policy
from undertone_client.wire import batch_outcomes, batch_request


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

    async def run(self, call: CallState) -> list[Outcome]:
        """An outcome for each paragraph, in order. A `ServiceError` fails every paragraph."""
        await self._score(range(len(self._paragraphs)), call)
        return [self._outcomes[index] for index in range(len(self._paragraphs))]

    async def _score(self, indices: Sequence[int], call: CallState) -> None:
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

        request = self._request(indices)
        try:
            await self._send(request, call, find_remainder)
        except ServiceError as error:
            if error.status in POISON and len(pending) > 1:
                self._emit_recovery(request, call)
                # One half after the other: a failing service must not receive more parallel calls.
                half = len(pending) // 2
                await self._score(pending[:half], call.for_part())
                await self._score(pending[half:], call.for_part())
            else:
                for index in pending:
                    self._outcomes[index] = Failure(self._paragraphs[index], error.status, error.reason, call.attempts)

    def _request(self, indices: Sequence[int]) -> Request:
        return batch_request((self._paragraphs[index] for index in indices), self._policy)
