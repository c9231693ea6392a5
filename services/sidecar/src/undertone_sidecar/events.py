"""Events of the sidecar, for listeners such as metrics and traces. All durations are in seconds.

Events of gRPC calls, from callers and to the model server, are those of undertone_telemetry.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from undertone_telemetry.rpc import CallEvent


@dataclass(frozen=True, slots=True)
class ParagraphsAnswered:
    """`count` paragraphs of one call have the same status code.

    `truncated` of these paragraphs were cut off. `chunked` of these paragraphs were scored in more
    than one chunk. `chunks` is the total number of their chunks. `flags` is the number of these
    paragraphs with each flag, by its short name ("language"). Flags without paragraphs are absent.
    """

    code: str
    count: int
    truncated: int = 0
    chunked: int = 0
    chunks: int = 0
    flags: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LabelsAssigned:
    """The labels of the scored paragraphs of one call, each with its number of paragraphs.

    `version` is the version of the model. A paragraph of a multi-label model counts once for each
    of its labels.
    """

    version: int
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class CacheRead:
    """The paragraphs of a call that a tier of the answer cache has, and those that it has not.

    `tier` is "memory" or "redis". `errors` is the number of paragraphs whose search failed, or
    whose stored answer is damaged.
    """

    tier: str
    hits: int
    misses: int
    errors: int = 0


@dataclass(frozen=True, slots=True)
class AnswersShared:
    """`count` paragraphs of a call have the answer of an equal text that was in calculation."""

    count: int


@dataclass(frozen=True, slots=True)
class RedisAnswered:
    """Redis answered a command of the answer cache. `operation` is "read" or "write"."""

    operation: str
    seconds: float


@dataclass(frozen=True, slots=True)
class RedisFailed:
    """A command of the answer cache failed, or was not sent.

    `operation` is "connect", "read" or "write". `reason` is "timeout", "connection", "refused" (an
    error of Redis, such as a full memory), "paused" (not sent after failures) or "full" (too many
    writes wait).
    """

    operation: str
    reason: str


@dataclass(frozen=True, slots=True)
class Tokenized:
    """The paragraphs of one call were tokenized. `tokens` does not count special tokens."""

    paragraphs: int
    tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class BatchSent:
    """A batch was sent to the model server.

    The listener runs in a context (contextvars) of the batch's own. Values that it sets are visible
    to the Predict call and to BatchAnswered.

    Attributes:
        items: Number of sequences.
        tokens: Tokens without padding.
        padded_tokens: Tokens with padding.
        queue_seconds: Time in the queue of each sequence.
        lane: "online" or "batch".
        prefetched: Whether the batch was ready before a slot was free.
        version: Model version.
        spans: Request.span of each sequence. Empty if no sequence is traced.
    """

    items: int
    tokens: int
    padded_tokens: int
    queue_seconds: tuple[float, ...]
    lane: str
    prefetched: bool
    version: int
    spans: tuple[object | None, ...] = ()


@dataclass(frozen=True, slots=True)
class BatchAnswered:
    """A Predict call ended. `code` is the name of its gRPC status code."""

    code: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ParagraphShed:
    """Paragraphs were refused before they entered the queue.

    `items` and `tokens` are the number and the tokens of their sequences, 0 if they are not known
    yet. `reason` is "queue_full" or "deadline". Before the text is tokenized, `reason` is
    "lane_full" or "caller_share".
    """

    lane: str
    reason: str
    items: int
    tokens: int
    paragraphs: int = 1


@dataclass(frozen=True, slots=True)
class RequestDropped:
    """A sequence left the queue without a Predict call.

    `reason` is "cancelled", "expired", "late" or "pushed_out". A late sequence would have been
    scored after its deadline. A sequence is pushed out of a full queue, because its caller had more
    tokens in the queue than the caller of a new paragraph.
    """

    lane: str
    reason: str
    queue_seconds: float
    span: object | None = None


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model version. `precision` is "fp32" or "bf16"."""

    name: str
    version: int
    precision: str


@dataclass(frozen=True, slots=True)
class ReadinessChanged:
    """The sidecar is ready to serve `model`. None if it is not ready any more."""

    model: ServedModel | None


@dataclass(frozen=True, slots=True)
class MismatchChanged:
    """Whether the newest version in the model server disagrees with its contract."""

    mismatch: bool


@dataclass(frozen=True, slots=True)
class CertificateLoaded:
    """The server uses a certificate that is valid until `expires_at`, in seconds since 1970."""

    expires_at: float


@dataclass(frozen=True, slots=True)
class HttpAnswered:
    """The HTTP port answered a request, also one that did not become a call."""

    status: int


Event = (
    CallEvent
    | ParagraphsAnswered
    | LabelsAssigned
    | CacheRead
    | AnswersShared
    | RedisAnswered
    | RedisFailed
    | Tokenized
    | BatchSent
    | BatchAnswered
    | ParagraphShed
    | RequestDropped
    | ReadinessChanged
    | MismatchChanged
    | CertificateLoaded
    | HttpAnswered
)

Listener = Callable[[Event], None]
"""Runs on the event loop. It must be quick and must not raise."""


def ignore(_: Event) -> None:
    """A listener that does nothing."""
