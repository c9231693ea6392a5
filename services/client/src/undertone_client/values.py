"""The values that callers pass in and get back: paragraphs, scores, failures, and the model."""

import enum
from dataclasses import dataclass, field

import grpc
from undertone_protos.v1 import contract_pb2

from undertone_client.errors import ServiceError, service_error

MAX_ID_CHARACTERS = 256
"""Longest id that the service accepts, in Unicode code points."""


class Policy(enum.StrEnum):
    """Handling of a paragraph with more tokens than the model's longest sequence."""

    TRUNCATE = "truncate"
    """Score the beginning, ignore the rest."""
    CHUNK_MEAN = "chunk-mean"
    """Score overlapping chunks and take their weighted mean: the emotion of the whole."""
    CHUNK_MAX = "chunk-max"
    """Score overlapping windows and take the maximum of each label, and the minimum of neutral.

    It finds an emotional passage in a long neutral paragraph. The contract of the model has the
    length of the windows and the name of the neutral label. The values of a single-label model are
    scaled to sum to one.
    """
    REJECT = "reject"
    """Fail the paragraph with INVALID_ARGUMENT."""


class ProblemType(enum.StrEnum):
    """How a model assigns labels to a paragraph."""

    SINGLE_LABEL = "single-label"
    """Each paragraph has exactly one label. The probabilities sum to one."""
    MULTI_LABEL = "multi-label"
    """Each paragraph has any number of labels, also none. The probabilities are independent."""


class Flag(enum.StrEnum):
    """A reason why a score is not reliable."""

    LANGUAGE = "language"
    """The text is in a language that the model was not made for."""
    UNREADABLE = "unreadable"
    """The text is mostly fragments of words or unknown characters, such as Base64."""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A text to score, and an id of the caller's choice. The service does not interpret the id.

    An id has at most `MAX_ID_CHARACTERS` characters. A paragraph with a longer id fails with
    INVALID_ARGUMENT and is not sent.
    """

    text: str = field(repr=False)  # keeps the text out of the caller's logs and tracebacks
    id: str = ""


@dataclass(frozen=True, slots=True)
class Model:
    """The identity of a model. Store it with every score. `precision` is "fp32" or "bf16"."""

    name: str
    version: int
    precision: str

    def __str__(self) -> str:
        return f"{self.name} version {self.version} {self.precision}"


@dataclass(frozen=True, slots=True)
class Timings:
    """Duration of each stage of a request in the service.

    For a batch, each value is the maximum over its paragraphs.
    """

    queue_seconds: float
    tokenize_seconds: float
    predict_seconds: float
    total_seconds: float


@dataclass(frozen=True, slots=True)
class Score:
    """The labels of one paragraph. All scores of a reply share `labels`, `timings` and `model`.

    Args:
        paragraph: the paragraph.
        label: the most probable label.
        labels: all labels, in the model's order.
        probabilities: the probability of each label, in the order of `labels`. They sum to one if
            `problem_type` is `SINGLE_LABEL`, and are independent if it is `MULTI_LABEL`.
        tokens: tokens of the whole paragraph, special tokens included.
        truncated: whether the end of the paragraph was ignored.
        chunks: number of chunks that were scored. 1 unless the paragraph is too long for the model.
        timings: see `Timings`.
        model: see `Model`.
        problem_type: how the model assigns labels. `SINGLE_LABEL` if the reply does not say it,
            as those of an older service.
        labels_above_threshold: the labels whose probability reaches their threshold, in the order
            of `labels`. Empty if none does, and if `problem_type` is `SINGLE_LABEL`.
        flags: reasons why the score is not reliable: values of `Flag`, or another name from a newer
            service. Empty for a normal text, and if the model has no thresholds of flags.
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
    problem_type: ProblemType = ProblemType.SINGLE_LABEL
    labels_above_threshold: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()

    @property
    def flags_text(self) -> str:
        """The flags, separated by commas: the value of the column `flags` of tables."""
        return ",".join(self.flags)

    @property
    def distribution(self) -> dict[str, float]:
        """The probability of each label, by its name."""
        return dict(zip(self.labels, self.probabilities, strict=True))


@dataclass(frozen=True, slots=True)
class Failure:
    """A paragraph that could not be scored.

    Args:
        paragraph: the paragraph.
        status: the gRPC status of the last attempt.
        reason: the explanation that the service gave.
        attempts: number of attempts. 0 if the paragraph was never sent.
    """

    paragraph: Paragraph
    status: grpc.StatusCode
    reason: str
    attempts: int

    def error(self) -> ServiceError:
        """The exception that `Client.classify` raises for this failure."""
        return service_error(self.status, self.reason, attempts=self.attempts)


Outcome = Score | Failure


@dataclass(frozen=True, slots=True)
class ServiceLimits:
    """The largest paragraph and batch that the service accepts. 0 means unlimited."""

    max_paragraph_bytes: int
    max_paragraph_characters: int
    max_batch_paragraphs: int
    max_batch_bytes: int


@dataclass(frozen=True, slots=True)
class ServedModel:
    """The model that the service has loaded.

    Args:
        model: identity of the model.
        labels: labels of the model, in order.
        max_tokens: maximum sequence length of the model, in tokens.
        limits: the limits of the service.
        contract: the complete model contract, as the service sent it.
        problem_type: how the model assigns labels.
        thresholds: the smallest probability with which a paragraph has a label, in the order of
            `labels`. Empty if `problem_type` is `SINGLE_LABEL`.
    """

    model: Model
    labels: tuple[str, ...]
    max_tokens: int
    limits: ServiceLimits
    contract: contract_pb2.ModelContract
    problem_type: ProblemType = ProblemType.SINGLE_LABEL
    thresholds: tuple[float, ...] = ()
