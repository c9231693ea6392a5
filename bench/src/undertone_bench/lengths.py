"""How long paragraphs are, in tokens."""

import math
import random
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final, Self

MEDIAN: Final = 91
P95: Final = 340
LONGEST: Final = 1031
SHORTEST: Final = 3
"""Two special tokens around one."""

_GRAIN: Final = 4096


@dataclass(frozen=True, slots=True)
class Histogram:
    """Lengths of paragraphs in tokens, special tokens included, ascending; each stands for an equal part of all paragraphs."""

    name: str
    lengths: tuple[int, ...]

    @classmethod
    def published(cls) -> Self:
        """Log-normal with the published quantiles: p50 91, p95 340, mean 125, at most 1031 tokens."""
        normal = NormalDist(math.log(MEDIAN), math.log(P95 / MEDIAN) / NormalDist().inv_cdf(0.95))
        parts = ((index + 0.5) / _GRAIN for index in range(_GRAIN))
        return cls.of("published", (math.exp(normal.inv_cdf(part)) for part in parts))

    @classmethod
    def of(cls, name: str, lengths: Iterable[float]) -> Self:
        """From measured or computed lengths, rounded and brought between SHORTEST and LONGEST."""
        return cls(name, tuple(sorted(min(LONGEST, max(SHORTEST, round(length))) for length in lengths)))

    @property
    def mean(self) -> float:
        return sum(self.lengths) / len(self.lengths)

    def quantile(self, part: float) -> int:
        """The length that `part` (0 up to 1) of the paragraphs do not exceed."""
        return self.lengths[min(len(self.lengths) - 1, int(part * len(self.lengths)))]

    def sample(self, count: int, seed: int = 7) -> list[int]:
        """`count` lengths in random order: the middles of so many equal parts, so that few have the same quantiles."""
        chosen = [self.quantile((index + 0.5) / count) for index in range(count)]
        random.Random(seed).shuffle(chosen)
        return chosen
