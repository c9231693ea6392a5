"""What happens in the sidecar, as frozen records for whoever listens (metrics.py does). All times are in seconds."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CallStarted:
    """A caller's request was read. `method` is the full gRPC path."""

    method: str


@dataclass(frozen=True, slots=True)
class CallFinished:
    """A caller's request was answered, failed or abandoned. `code` is the name of a gRPC status code."""

    method: str
    code: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ParagraphsAnswered:
    """`count` paragraphs of one request ended with the same status code."""

    code: str
    count: int


@dataclass(frozen=True, slots=True)
class BatchSent:
    """A batch left for the model server: `items` rows, `tokens` without and `padded_tokens` with padding.

    `lane` is "online" or "batch"; `queue_seconds` is what each row has waited; `prefetched` says that the tensors were ready
    when the model server was.
    """

    items: int
    tokens: int
    padded_tokens: int
    queue_seconds: tuple[float, ...]
    lane: str
    prefetched: bool


@dataclass(frozen=True, slots=True)
class WorkShed:
    """A paragraph of `items` sequences was refused at once: `reason` is "queue_full" or "deadline"."""

    lane: str
    reason: str
    items: int
    tokens: int


@dataclass(frozen=True, slots=True)
class WorkDropped:
    """A sequence left the queue unanswered by the model: `reason` is "cancelled" or "expired"."""

    lane: str
    reason: str


@dataclass(frozen=True, slots=True)
class ModelCallFinished:
    """A Predict call to the model server ended."""

    code: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ReadinessChanged:
    """The sidecar became ready to serve `version`, or (None) lost its model."""

    version: int | None


Event = (
    CallStarted | CallFinished | ParagraphsAnswered | BatchSent | WorkShed | WorkDropped | ModelCallFinished | ReadinessChanged
)

Listener = Callable[[Event], None]
"""Called on the event loop, so it must be quick, and must not raise."""


def ignore(_: Event) -> None:
    """The listener of those who do not care."""
