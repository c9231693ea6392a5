"""A batch that is ready to be sent, and its Predict call."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from undertone_sidecar.backend import Backend, Batch, Scores
from undertone_sidecar.batching.request import Request, Scored
from undertone_sidecar.batching.selection import BatchSelection
from undertone_sidecar.errors import ModelServerError, SidecarError
from undertone_sidecar.events import BatchSent

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class PreparedBatch:
    """A selection and its tensors. `prefetched`: it was prepared before a slot was free."""

    selection: BatchSelection
    batch: Batch
    prefetched: bool


@dataclass(slots=True, eq=False)
class PredictCall:
    """A Predict call in flight.

    Attributes:
        prepared: Its batch.
        sent_at: Time on the batcher's clock in seconds.
        is_overdue: Whether it exceeds the maximum duration of a call.
        used_seconds_before: Seconds of all slots in use before it. Set by Slots.
        first_deadline: The earliest deadline of all requests, whether they need a result or not.
    """

    prepared: PreparedBatch
    sent_at: float
    is_overdue: bool = False
    used_seconds_before: float = 0.0
    first_deadline: float = field(init=False)

    def __post_init__(self) -> None:
        self.first_deadline = min(request.deadline for request in self.requests)

    @property
    def requests(self) -> Sequence[Request]:
        return self.prepared.selection.requests

    @property
    def padded_tokens(self) -> int:
        return self.prepared.selection.padded_tokens

    @property
    def cost(self) -> int:
        return self.prepared.selection.cost

    @property
    def deadline(self) -> float:
        """The earliest deadline of the requests that still need a result. Infinity if none does."""
        return min((request.deadline for request in self.requests if not request.result.done()), default=math.inf)

    def sent_event(self) -> BatchSent:
        requests, spans = self.requests, tuple(request.span for request in self.requests)
        return BatchSent(
            items=len(requests),
            tokens=sum(len(request.token_ids) for request in requests),
            padded_tokens=self.padded_tokens,
            queue_seconds=tuple(self.sent_at - request.enqueued_at for request in requests),
            lane=self.prepared.selection.lane.value,
            prefetched=self.prepared.prefetched,
            version=self.prepared.batch.version,
            spans=spans if any(span is not None for span in spans) else (),
        )

    async def run(self, backend: Backend) -> Scores | Exception:
        """Makes the call. Returns the scores, or the error that every request of the batch gets."""
        batch = self.prepared.batch
        try:
            return await backend.predict(batch, timeout=None)
        except SidecarError as error:
            if isinstance(error, ModelServerError):
                log.error("batch failed", extra={"shape": batch.input_ids.shape, "reason": str(error)})
            return error
        except Exception as error:
            log.exception("batch failed", extra={"shape": batch.input_ids.shape})
            return error

    def resolve(self, outcome: Scores | Exception, seconds: float) -> None:
        """Sets the result of each request that has none. `seconds` is the duration of the call."""
        if isinstance(outcome, Exception):
            fail(self.requests, outcome)
            return
        try:
            for row, request in enumerate(self.requests):
                if not request.result.done():
                    request.result.set_result(Scored(outcome[row], self.sent_at - request.enqueued_at, seconds))
        except Exception as error:
            log.exception("a call has invalid results")
            fail(self.requests, error)


def fail(requests: Sequence[Request], error: Exception) -> None:
    """Sets the exception of each request that has no result."""
    for request in requests:
        if not request.result.done():
            request.result.set_exception(error)
