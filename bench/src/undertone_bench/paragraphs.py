"""Texts of wanted lengths, made of natural words in natural order, and texts from a file."""

import json
import random
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Final

from tokenizers import Tokenizer

from undertone_bench.errors import BenchError
from undertone_bench.lengths import Histogram

STORIES: Final = Path("model/data/stories")
"""Of JSONL files with a field `text`, from the repository's root."""

_SPECIAL: Final = 2


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A text and its length in tokens, special tokens included."""

    text: str
    tokens: int


class Corpus:
    """Running text from which paragraphs are cut at word boundaries."""

    def __init__(self, tokenizer: Tokenizer, words: Sequence[str], seed: int = 7) -> None:
        counts = [len(encoding.ids) for encoding in tokenizer.encode_batch_fast(list(words), add_special_tokens=False)]
        self._words = words
        self._sums = [0, *accumulate(counts)]
        self._random = random.Random(seed)

    @classmethod
    def read(cls, tokenizer: Tokenizer, folder: Path = STORIES) -> "Corpus":
        """From the stories. Raises BenchError where there are none."""
        texts = [json.loads(line)["text"] for path in sorted(folder.glob("*.jsonl")) for line in path.open(encoding="utf-8")]
        if not texts:
            raise BenchError(f"{folder} has no *.jsonl; run this from the repository's root")
        return cls(tokenizer, " ".join(texts).split())

    def paragraph(self, tokens: int) -> Paragraph:
        """About `tokens` long: the last word that would go beyond is left out, the first is always there."""
        wanted = tokens - _SPECIAL
        start = self._random.randrange(len(self._words) - max(wanted, 1))
        stop = start + 1
        while stop < len(self._words) and self._sums[stop + 1] - self._sums[start] <= wanted:
            stop += 1
        return Paragraph(" ".join(self._words[start:stop]), self._sums[stop] - self._sums[start] + _SPECIAL)

    def paragraphs(self, lengths: Iterable[int]) -> list[Paragraph]:
        """One for each length."""
        return [self.paragraph(tokens) for tokens in lengths]


class Texts:
    """The paragraphs of a file, chosen by their lengths."""

    def __init__(self, paragraphs: Sequence[Paragraph]) -> None:
        self._paragraphs = sorted(paragraphs, key=lambda paragraph: paragraph.tokens)
        self._lengths = [paragraph.tokens for paragraph in self._paragraphs]

    @classmethod
    def read(cls, tokenizer: Tokenizer, path: Path) -> "Texts":
        """Paragraphs are separated by blank lines. Raises BenchError if there is none."""
        texts = [text for text in path.read_text(encoding="utf-8").split("\n\n") if text.strip()]
        if not texts:
            raise BenchError(f"{path} has no paragraph; separate paragraphs by blank lines")
        return cls(
            [Paragraph(text, len(encoding.ids)) for text, encoding in zip(texts, tokenizer.encode_batch(texts), strict=True)]
        )

    @property
    def histogram(self) -> Histogram:
        return Histogram.of("file", self._lengths)

    def paragraphs(self, lengths: Iterable[int]) -> list[Paragraph]:
        """For each length a paragraph that has it, or the next longer one, or the longest."""
        places = [bisect_left(self._lengths, tokens) for tokens in lengths]
        return [self._paragraphs[min(place, len(self._paragraphs) - 1)] for place in places]
