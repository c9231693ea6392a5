"""How far a run is."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """Counts of paragraphs, as they change: `total` is None while unknown, `stored` have their score from an earlier
    run, `kept` are those of them that the run has come to.

    `tokens` and `labels` (how often each emotion came first) are those of `kept` and `scored` together.
    """

    total: int | None = None
    stored: int = 0
    kept: int = 0
    scored: int = 0
    failed: int = 0
    tokens: int = 0
    labels: Counter[str] = field(default_factory=Counter)

    @property
    def done(self) -> int:
        """Paragraphs that need nothing more in this run."""
        return self.kept + self.scored + self.failed

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
