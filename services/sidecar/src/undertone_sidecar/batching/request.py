"""Input and output of the batcher."""

import asyncio
from dataclasses import dataclass, field
from enum import Enum

from undertone_sidecar.chunks import Probabilities
from undertone_sidecar.tokenizer import TokenIds


class Lane(Enum):
    """Priority class: interactive callers, or batch jobs that use the remaining capacity."""

    ONLINE = "online"
    BATCH = "batch"


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Result of one request, and its seconds in the queue and in the Predict call."""

    probabilities: Probabilities
    queue_seconds: float
    predict_seconds: float


@dataclass(slots=True, eq=False)
class Request:
    """One sequence of tokens to score. The same object goes from the pipeline to the result.

    Attributes:
        token_ids: Token ids, special tokens included.
        padded_length: Length in tokens to which the sequence is padded if it is alone in a batch.
        cost: Tokens of short sequences that take as long as this sequence (PaddedLengths.cost). All
            limits and estimates count them. By default the padded length.
        version: Model version for which the text was tokenized.
        deadline: Time on the batcher's clock in seconds. Infinity if the caller set no deadline.
        lane: Priority class.
        span: Trace span of the caller's call, passed to event listeners. None if it is not traced.
        caller: Identity of the caller. Callers of a lane get equal shares of it.
        result: Set by the batcher when it accepts the request.
        enqueued_at: Time on the batcher's clock in seconds. Set by the batcher.
        paragraph: Number of its paragraph. Set by LaneQueue.
        position: Position in the fair order: virtual start time and number. Set by LaneQueue.
    """

    token_ids: TokenIds
    padded_length: int
    version: int
    deadline: float
    lane: Lane = Lane.ONLINE
    span: object | None = None
    caller: str = ""
    cost: int = 0
    result: asyncio.Future[Scored] = field(init=False)
    enqueued_at: float = field(init=False)
    paragraph: int = field(init=False)
    position: tuple[float, int] = field(init=False)

    def __post_init__(self) -> None:
        self.cost = self.cost or self.padded_length
