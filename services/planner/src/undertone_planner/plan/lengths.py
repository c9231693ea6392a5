"""The lengths of paragraphs in tokens, as a histogram."""

import math
import random
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from statistics import NormalDist
from typing import Final, Self

SPECIAL_TOKENS: Final = 2
"""Tokens that the tokenizer adds to each sequence."""
PAPER_MEDIAN: Final = 91
PAPER_P95: Final = 340
PAPER_MAXIMUM: Final = 1031
PAPER_MINIMUM: Final = SPECIAL_TOKENS + 1
_PAPER_QUANTILES: Final = 1024


@dataclass(frozen=True, slots=True)
class Chunking:
    """How the sidecar splits a paragraph that is too long for the model.

    Attributes:
        max_tokens: Tokens of the longest sequence, special tokens included.
        overlap: Tokens that neighbouring chunks share, as the sidecar's --chunk-overlap.
    """

    max_tokens: int = 512
    overlap: int = 64

    def computed_tokens(self, tokens: int) -> int:
        """Tokens that the model computes for a paragraph of `tokens` tokens."""
        if tokens <= self.max_tokens:
            return tokens
        width = self.max_tokens - SPECIAL_TOKENS
        chunks = 1 + math.ceil((tokens - self.max_tokens) / (width - self.overlap))
        return chunks * self.max_tokens


@dataclass(frozen=True, slots=True)
class Lengths:
    """A histogram: `counts[i]` paragraphs have `tokens[i]` tokens, special tokens included.

    `tokens` ascends, and each count is at least 1. There is at least one paragraph.
    """

    tokens: tuple[int, ...]
    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.tokens or len(self.tokens) != len(self.counts):
            raise ValueError("a histogram needs one count for each length, and at least one length")

    @classmethod
    def of(cls, histogram: Mapping[int, int]) -> Self:
        """The histogram with these counts by number of tokens. Counts of 0 are left out."""
        pairs = sorted((tokens, count) for tokens, count in histogram.items() if count)
        return cls(tuple(tokens for tokens, _ in pairs), tuple(count for _, count in pairs))

    @classmethod
    def paper(cls) -> Self:
        """The paper's paragraphs, see `paper_lengths`."""
        return cls.of(Counter(paper_lengths(_PAPER_QUANTILES)))

    @property
    def paragraphs(self) -> int:
        """Number of paragraphs."""
        return sum(self.counts)

    @property
    def mean(self) -> float:
        """Mean tokens of a paragraph."""
        return sum(tokens * count for tokens, count in zip(self.tokens, self.counts, strict=True)) / self.paragraphs

    def quantile(self, q: float) -> int:
        """The smallest length that a share of at least `q` (0 to 1) does not exceed."""
        cumulative = list(accumulate(self.counts))
        return self.tokens[min(len(self.tokens) - 1, bisect_left(cumulative, q * cumulative[-1]))]

    def computed(self, chunking: Chunking) -> "Lengths":
        """The tokens that the model computes for these paragraphs. Long ones have chunks."""
        computed: Counter[int] = Counter()
        for tokens, count in zip(self.tokens, self.counts, strict=True):
            computed[chunking.computed_tokens(tokens)] += count
        return Lengths.of(computed)

    def sample(self, count: int, source: random.Random) -> list[int]:
        """`count` lengths, drawn independently."""
        return source.choices(self.tokens, cum_weights=list(accumulate(self.counts)), k=count)


def paper_lengths(count: int) -> list[int]:
    """The lengths of the paper's paragraphs at `count` equidistant quantiles, in ascending order.

    Their distribution is log-normal with the paper's median 91 and 95th percentile 340. The mean is
    125, and the maximum 1,031.
    """
    normal = NormalDist(math.log(PAPER_MEDIAN), math.log(PAPER_P95 / PAPER_MEDIAN) / NormalDist().inv_cdf(0.95))
    quantiles = ((index + 0.5) / count for index in range(count))
    return [min(PAPER_MAXIMUM, max(PAPER_MINIMUM, round(math.exp(normal.inv_cdf(q))))) for q in quantiles]
