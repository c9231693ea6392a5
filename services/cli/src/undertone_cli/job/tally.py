"""How far a run is."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """Counts of paragraphs, as they change: `total` is None while unknown, `kept` have their score from an earlier run.

    `repeated` of those that were scored or failed were not sent, as another with the same text was. `tokens` and `labels` (how
    often each emotion came first) are those of `kept` and `scored` together. `statuses` are those of `failed`.
    """

    total: int | None = None
    kept: int = 0
    scored: int = 0
    failed: int = 0
    repeated: int = 0
    tokens: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)

    @property
    def done(self) -> int:
        """Paragraphs that need nothing more in this run."""
        return self.kept + self.scored + self.failed

    @property
    def wanted(self) -> int | None:
        """Paragraphs that this run has to score, as far as is known; None while that is nothing."""
        return None if self.total is None else self.total - self.kept

    @property
    def outcomes(self) -> dict[str, int]:
        """Paragraphs of this run that have an outcome, by the name of its gRPC status code."""
        return {"OK": self.scored, **self.statuses}

    def keep(self, label: str, tokens: int) -> None:
        """Count a score of an earlier run."""
        self.kept += 1
        self.tokens += tokens
        self.labels[label] += 1

    def score(self, label: str, tokens: int) -> None:
        """Count a score of this run."""
        self.scored += 1
        self.tokens += tokens
        self.labels[label] += 1

    def fail(self, status: str) -> None:
        """Count a paragraph without a score; `status` is the name of a gRPC status code."""
        self.failed += 1
        self.statuses[status] += 1
