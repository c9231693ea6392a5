"""What a plan must handle: a batch of paragraphs with a deadline, readers with a p99, or both."""

from dataclasses import dataclass
from typing import Final

from undertone_planner.plan.lengths import Lengths

MAX_IN_FLIGHT: Final = 128
"""The default of `Batch.max_in_flight`."""
CALL_PARAGRAPHS: Final = 32
"""The default of `Batch.call_paragraphs`."""

PADDING: Final = 1.06
"""Tokens that the model computes as a multiple of the tokens of the batch lane, measured.

docs/reference/performance.md has the measurement: the sidecar batches paragraphs by length.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A batch job.

    Attributes:
        paragraphs: Paragraphs in all.
        within_seconds: Time from the start of the job to its end.
        headroom: Share of additional time that the plan leaves, such as 0.1.
        clients: Clients, each with a concurrency limit of its own. None plans the number.
        max_in_flight: The concurrency limit of a client, in calls.
        call_paragraphs: Paragraphs of a call.
    """

    paragraphs: int
    within_seconds: float
    headroom: float = 0.1
    clients: int | None = None
    max_in_flight: int = MAX_IN_FLIGHT
    call_paragraphs: int = CALL_PARAGRAPHS

    @property
    def planned_seconds(self) -> float:
        """The time in which the plan finishes at the latest."""
        return self.within_seconds / (1 + self.headroom)


@dataclass(frozen=True, slots=True, kw_only=True)
class Readers:
    """Calls of one paragraph each, which arrive at random (Poisson).

    Attributes:
        per_second: Mean number of calls a second, at the peak.
        p99_seconds: Duration that 99 % of the calls must not exceed.
    """

    per_second: float
    p99_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A batch, readers, or both. `lengths` are the tokens that the model computes.

    Raises:
        ValueError: Both are None.
    """

    lengths: Lengths
    batch: Batch | None = None
    readers: Readers | None = None

    def __post_init__(self) -> None:
        if self.batch is None and self.readers is None:
            raise ValueError("a load needs a batch or readers")
