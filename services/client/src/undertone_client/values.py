"""What goes in and what comes out: paragraphs, scores, failures and the model that made them."""

import enum
from dataclasses import dataclass, field

import grpc
from undertone_protos.v1 import contract_pb2

from undertone_client.errors import ServiceError, service_error


class Policy(enum.StrEnum):
    """What the service does with a paragraph that has more tokens than the model can read at once."""

    TRUNCATE = "truncate"
    """Score the beginning, ignore the rest."""
    CHUNK_MEAN = "chunk-mean"
    """Score overlapping chunks and take their weighted mean."""
    CHUNK_MAX = "chunk-max"
    """Score overlapping chunks and take the largest probability of each emotion, scaled to sum to one."""
    REJECT = "reject"
    """Refuse it: the paragraph fails with INVALID_ARGUMENT."""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A text to be scored, and the caller's name for it (not read by the service)."""

    text: str = field(repr=False)  # so that no log or traceback of a caller's shows it by accident
    id: str = ""


@dataclass(frozen=True, slots=True)
class Model:
    """What a score must be stored with to be reproducible. `precision` is "fp32" or "bf16"."""

    name: str
    version: int
    precision: str

    def __str__(self) -> str:
        return f"{self.name} version {self.version} {self.precision}"


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the service's time went, in seconds; of a batch, each is the longest of its paragraphs."""

    queue_seconds: float
    tokenize_seconds: float
    predict_seconds: float
    total_seconds: float


@dataclass(frozen=True, slots=True)
class Score:
    """The emotions of one paragraph.

    `probabilities` belong to `labels` one by one and sum to one; `label` is the most probable. `tokens` counts the whole
    paragraph, the two special tokens included. `chunks` is 1 unless it was too long and was read in pieces. `labels`,
    `timings` and `model` are shared by all scores of a reply.
    """

    paragraph: Paragraph
    label: str
    labels: tuple[str, ...]
    probabilities: tuple[float, ...]
    tokens: int
    truncated: bool
    chunks: int
    timings: Timings
    model: Model

    @property
    def distribution(self) -> dict[str, float]:
        """The probability of each emotion, in the model's order."""
        return dict(zip(self.labels, self.probabilities, strict=True))


@dataclass(frozen=True, slots=True)
class Failure:
    """A paragraph that has no score: the gRPC status of its last attempt, the service's reason, and how often it was tried.

    `attempts` is 0 where the paragraph could not be sent at all.
    """

    paragraph: Paragraph
    status: grpc.StatusCode
    reason: str
    attempts: int

    def error(self) -> ServiceError:
        """The exception that `classify` would have raised."""
        return service_error(self.status, self.reason, attempts=self.attempts)


Outcome = Score | Failure


@dataclass(frozen=True, slots=True)
class Limits:
    """What the service accepts."""

    max_paragraph_bytes: int
    max_paragraph_characters: int
    max_batch_paragraphs: int
    max_batch_bytes: int


@dataclass(frozen=True, slots=True)
class ServedModel:
    """The model that the service has loaded, its emotions in order, its longest sequence in tokens, and the service's limits.

    `contract` is everything that is written down about the model, as the service sent it.
    """

    model: Model
    labels: tuple[str, ...]
    max_tokens: int
    limits: Limits
    contract: contract_pb2.ModelContract
