"""Paragraphs to score: a distribution of lengths, and texts of these lengths."""

import json
import random
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Final, Self

from tokenizers import Tokenizer
from undertone_model.data import PACKAGED_STORIES
from undertone_planner.plan.lengths import PAPER_MAXIMUM, PAPER_MINIMUM, SPECIAL_TOKENS, paper_lengths

from undertone_bench.errors import BenchError

_QUANTILES: Final = 4096


@dataclass(frozen=True, slots=True)
class LengthDistribution:
    """Empirical distribution of paragraph lengths in tokens, special tokens included.

    `lengths` is sorted; each entry has the same probability.
    """

    lengths: tuple[int, ...]

    @classmethod
    def paper(cls) -> Self:
        """The lengths of the paper, see `paper_lengths`."""
        return cls(tuple(paper_lengths(_QUANTILES)))

    @classmethod
    def of(cls, lengths: Iterable[float]) -> Self:
        """Round the lengths and clip them to those of the paper."""
        return cls(tuple(sorted(min(PAPER_MAXIMUM, max(PAPER_MINIMUM, round(length))) for length in lengths)))

    @property
    def mean(self) -> float:
        return sum(self.lengths) / len(self.lengths)

    def quantile(self, q: float) -> int:
        """The `q` quantile (0 to 1)."""
        return self.lengths[min(len(self.lengths) - 1, int(q * len(self.lengths)))]

    def sample(self, count: int, seed: int = 7) -> list[int]:
        """`count` lengths in random order.

        The sample is stratified: it takes the midpoints of `count` equal parts, so that a small
        sample has the quantiles of the distribution.
        """
        chosen = [self.quantile((index + 0.5) / count) for index in range(count)]
        random.Random(seed).shuffle(chosen)
        return chosen


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A text and its length in tokens, special tokens included."""

    text: str
    tokens: int


class Corpus:
    """Running text. Paragraphs are cut from it at word boundaries."""

    def __init__(self, tokenizer: Tokenizer, words: Sequence[str], seed: int = 7) -> None:
        counts = [len(encoding.ids) for encoding in tokenizer.encode_batch_fast(list(words), add_special_tokens=False)]
        self._words = words
        self._cumulative_tokens = [0, *accumulate(counts)]
        self._random = random.Random(seed)

    @classmethod
    def read(cls, tokenizer: Tokenizer, folder: Path = PACKAGED_STORIES) -> "Corpus":
        """Read the stories. Raises BenchError if the folder has no JSONL file."""
        texts = [json.loads(line)["text"] for path in sorted(folder.glob("*.jsonl")) for line in path.open(encoding="utf-8")]
        if not texts:
            raise BenchError(f"{folder} has no *.jsonl file: run undertone-bench from the repository's root")
        return cls(tokenizer, " ".join(texts).split())

    def paragraph(self, tokens: int) -> Paragraph:
        """A paragraph of at most `tokens` tokens, or of one word if that word is longer."""
        limit = tokens - SPECIAL_TOKENS
        start = self._random.randrange(len(self._words) - max(limit, 1))
        stop = start + 1
        while stop < len(self._words) and self._cumulative_tokens[stop + 1] - self._cumulative_tokens[start] <= limit:
            stop += 1
        length = self._cumulative_tokens[stop] - self._cumulative_tokens[start] + SPECIAL_TOKENS
        return Paragraph(" ".join(self._words[start:stop]), length)

    def paragraphs(self, lengths: Iterable[int]) -> list[Paragraph]:
        """One paragraph for each length."""
        return [self.paragraph(tokens) for tokens in lengths]


class TextFile:
    """The paragraphs of a text file, selected by length."""

    def __init__(self, paragraphs: Sequence[Paragraph]) -> None:
        self._paragraphs = sorted(paragraphs, key=lambda paragraph: paragraph.tokens)
        self._lengths = [paragraph.tokens for paragraph in self._paragraphs]

    @classmethod
    def read(cls, tokenizer: Tokenizer, path: Path) -> "TextFile":
        """Read paragraphs separated by blank lines. Raises BenchError if there are none."""
        texts = split_paragraphs([path])
        encodings = tokenizer.encode_batch(texts)
        return cls([Paragraph(text, len(encoding.ids)) for text, encoding in zip(texts, encodings, strict=True)])

    @property
    def distribution(self) -> LengthDistribution:
        return LengthDistribution.of(self._lengths)

    def paragraphs(self, lengths: Iterable[int]) -> list[Paragraph]:
        """For each length the shortest paragraph that is at least as long, or the longest
        paragraph.
        """
        indices = [bisect_left(self._lengths, tokens) for tokens in lengths]
        return [self._paragraphs[min(index, len(self._paragraphs) - 1)] for index in indices]


def split_paragraphs(paths: Sequence[Path]) -> list[str]:
    """The paragraphs of text files, which blank lines separate.

    Raises BenchError if there are none.
    """
    text = "\n\n".join(path.read_text(encoding="utf-8") for path in paths)
    paragraphs = [paragraph for paragraph in text.split("\n\n") if paragraph.strip()]
    if not paragraphs:
        raise BenchError(f"{', '.join(map(str, paths))}: no paragraphs; separate paragraphs by blank lines")
    return paragraphs
