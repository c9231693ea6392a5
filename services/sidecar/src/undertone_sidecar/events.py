"""What happens in the sidecar, as frozen records for whoever listens (metrics.py does). All times are in seconds.

Calls, of callers and to the model server, are told as undertone_telemetry tells them everywhere.
"""

from collections.abc import Callable
from dataclasses import dataclass

from undertone_telemetry.rpc import CallEvent


@dataclass(frozen=True, slots=True)
class ParagraphsAnswered:
    """`count` paragraphs of one request ended with the same status code.

    Of these, `truncated` lost their end, and `chunked` were scored in more than one of `chunks` together.
    """

    code: str
    count: int
    truncated: int = 0
    chunked: int = 0
    chunks: int = 0


@dataclass(frozen=True, slots=True)
class Tokenized:
    """The `paragraphs` of one request became `tokens`, without special ones."""

    paragraphs: int
    tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class BatchSent:
    """A batch left for the model server: `items` rows, `tokens` without and `padded_tokens` with padding.

    `version` is the model's; `lane` is "online" or "batch"; `queue_seconds` is what each row has waited; `prefetched` says that
    the tensors were ready when the model server was. `origins` are the rows' (see Encoded); empty if none has one.

    Heard in a context (see contextvars) that is the batch's alone: what is set there holds in the call to the model server, and
    in BatchAnswered.
    """

    items: int
    tokens: int
    padded_tokens: int
    queue_seconds: tuple[float, ...]
    lane: str
    prefetched: bool
    version: int
    origins: tuple[object | None, ...] = ()


@dataclass(frozen=True, slots=True)
class BatchAnswered:
    """A batch came back from the model server, or failed. `code` is the name of a gRPC status code."""

    code: str
    seconds: float


@dataclass(frozen=True, slots=True)
class WorkShed:
    """A paragraph of `items` sequences was refused at once: `reason` is "queue_full" or "deadline"."""

    lane: str
    reason: str
    items: int
    tokens: int


@dataclass(frozen=True, slots=True)
class WorkDropped:
    """A sequence left the queue unanswered by the model: `reason` is "cancelled" or "expired".

    It had waited for `queue_seconds`; `origin` is its own (see Encoded).
    """

    lane: str
    reason: str
    queue_seconds: float
    origin: object | None = None


@dataclass(frozen=True, slots=True)
class ServedModel:
    """Which model it is. `precision` is "fp32" or "bf16"."""

    name: str
    version: int
    precision: str


@dataclass(frozen=True, slots=True)
class ReadinessChanged:
    """The sidecar became ready to serve `model`, or (None) lost it."""

    model: ServedModel | None


@dataclass(frozen=True, slots=True)
class MismatchChanged:
    """The newest version that was found disagrees with its contract, or (False) no longer does."""

    mismatch: bool


Event = (
    CallEvent
    | ParagraphsAnswered
    | Tokenized
    | BatchSent
    | BatchAnswered
    | WorkShed
    | WorkDropped
    | ReadinessChanged
    | MismatchChanged
)

Listener = Callable[[Event], None]
"""Called on the event loop, so it must be quick, and must not raise."""


def ignore(_: Event) -> None:
    """The listener of those who do not care."""
