"""The figures of a comparison of two services. They never contain the text of a paragraph."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from undertone_client.values import Model, Policy

from undertone_cli.quantiles import quantile
from undertone_cli.report.comparison import Flip, Shift

_Z = 1.96
"""Standard score of a 95 % interval."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles of the seconds from a call to its answer, as a caller sees them."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Latency | None":
        """The percentiles by nearest rank. None without calls."""
        if not seconds:
            return None
        return cls(*(quantile(seconds, share) for share in (0.5, 0.95, 0.99)))


@dataclass(frozen=True, slots=True)
class ServiceFigures:
    """What one service answered.

    Attributes:
        target: address of the service.
        model: its model.
        scored: paragraphs with a score.
        failures: paragraphs without a score, by gRPC status.
        latency: of the paragraphs with a score. None without any.
        tokens: tokens of these paragraphs.
        predict_seconds: mean seconds that the model server computed the call with the paragraph.
            Other paragraphs may share the call. It compares what two versions cost under the same
            load, and is no CPU time. 0 without scores.
    """

    target: str
    model: Model
    scored: int
    failures: Mapping[str, int]
    latency: Latency | None
    tokens: int
    predict_seconds: float


@dataclass(frozen=True, slots=True)
class ChangedParagraph:
    """A paragraph whose probabilities changed much. `text` is None unless it was asked for."""

    id: str | int
    before: str
    after: str
    shift: float
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The answers of the candidate compared with those of the baseline.

    Attributes:
        baseline, candidate: the figures of each service.
        policy: how long paragraphs were scored.
        paragraphs: paragraphs that were sent.
        compared: paragraphs that both services scored.
        flipped: those whose labels differ.
        failed_only_at_baseline, failed_only_at_candidate, failed_at_both: the other paragraphs.
        flips: the changes of labels, by descending frequency.
        shifts: the change of each label's probability, by descending mean absolute difference.
        mean_shift: mean distance of the probabilities, each from 0 (equal) to 1. 0 if nothing is
            compared.
        largest: the paragraphs whose probabilities changed most.
    """

    baseline: ServiceFigures
    candidate: ServiceFigures
    policy: Policy
    paragraphs: int
    compared: int
    flipped: int
    failed_only_at_baseline: int
    failed_only_at_candidate: int
    failed_at_both: int
    flips: Sequence[Flip]
    shifts: Sequence[Shift]
    mean_shift: float
    largest: Sequence[ChangedParagraph]

    @property
    def flip_rate(self) -> float:
        """Share of the compared paragraphs whose labels differ. 0 if nothing is compared."""
        return self.flipped / self.compared if self.compared else 0.0

    @property
    def flip_rate_interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of the flip rate of all such texts (Wilson's interval)."""
        if not self.compared:
            return 0.0, 1.0
        count, rate = self.compared, self.flip_rate
        center = rate + _Z**2 / (2 * count)
        margin = _Z * math.sqrt(rate * (1 - rate) / count + _Z**2 / (4 * count**2))
        scale = 1 + _Z**2 / count
        return max(0.0, (center - margin) / scale), min(1.0, (center + margin) / scale)

    @property
    def failed(self) -> int:
        """Paragraphs without a score at one service or at both."""
        return self.failed_only_at_baseline + self.failed_only_at_candidate + self.failed_at_both

    def to_json(self) -> dict[str, Any]:
        """The fields, the flip rate and its interval, as a JSON object."""
        document = {**asdict(self), "flip_rate": self.flip_rate, "flip_rate_interval": list(self.flip_rate_interval)}
        for changed in document["largest"]:
            if changed["text"] is None:
                del changed["text"]
        return document
