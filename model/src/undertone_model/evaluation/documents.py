"""Documents of six paragraphs, to compare how chunks and windows find the emotional one.

A document has one emotional paragraph among five neutral ones, or six neutral paragraphs. It is
scored in windows, as the sidecar scores a paragraph that is too long, and the results are merged.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from undertone_model.corpora import TestSet
from undertone_model.emotions import EMOTIONS
from undertone_model.evaluation.bootstrap import SEED

DOCUMENTS: Final = 200
"""Documents of each kind of one test set."""
PARAGRAPHS: Final = 6

WINDOW_TOKENS: Final = (128, 256, 512)
"""Lengths of windows, special tokens included."""
OVERLAP: Final = 64
"""Tokens that windows share, the default of the sidecar, but at most a quarter of a window."""

NEUTRAL: Final = EMOTIONS.index("neutral")


@dataclass(frozen=True, slots=True)
class Document:
    """A text, and its emotion: that of its only paragraph that is not neutral, or neutral."""

    text: str
    emotion: str


@dataclass(frozen=True, slots=True)
class Window:
    """Text of a window, and its tokens, special tokens included.

    `new_tokens` of its tokens are in no earlier window.
    """

    text: str
    tokens: int
    new_tokens: int


Splitter = Callable[[str, int], list[Window]]
"""Splits a text into windows of a number of tokens, special tokens included."""


def documents(test_set: TestSet) -> tuple[Document, ...]:
    """Documents of the rows of `test_set`, half of them neutral. The same for each call.

    Empty without rows of fiction with an emotion, or with less than six neutral rows.
    """
    rows = [(row.text, *row.emotions) for row in test_set.with_single_emotion().texts]
    emotional = [row for row in rows if row[1] != "neutral"]
    neutral = [text for text, emotion in rows if emotion == "neutral"]
    if not test_set.fiction or not emotional or len(neutral) < PARAGRAPHS:
        return ()
    random = np.random.default_rng(SEED)
    found = []
    for index in np.resize(random.permutation(len(emotional)), DOCUMENTS).tolist():
        text, emotion = emotional[index]
        paragraphs = [neutral[other] for other in random.permutation(len(neutral))[: PARAGRAPHS - 1]]
        paragraphs.insert(int(random.integers(PARAGRAPHS)), text)
        found.append(Document("\n\n".join(paragraphs), emotion))
    for _ in range(DOCUMENTS):
        paragraphs = [neutral[other] for other in random.permutation(len(neutral))[:PARAGRAPHS]]
        found.append(Document("\n\n".join(paragraphs), "neutral"))
    return tuple(found)


def splitter(tokenizer: Tokenizer) -> Splitter:
    """The windows of the sidecar: all but a short text have the full length."""
    special = tokenizer.num_special_tokens_to_add(is_pair=False)

    def split(text: str, tokens: int) -> list[Window]:
        width = tokens - special
        offsets = tokenizer.encode(text, add_special_tokens=False).offsets
        if len(offsets) <= width:
            return [Window(text, len(offsets) + special, len(offsets))]
        step = width - min(OVERLAP, width // 4)
        windows = []
        covered = 0
        for start in [*range(0, len(offsets) - width, step), len(offsets) - width]:
            stop = start + width
            windows.append(Window(text[offsets[start][0] : offsets[stop - 1][1]], tokens, stop - covered))
            covered = stop
        return windows

    return split


def _mean(parts: NDArray[np.float64], new_tokens: Sequence[int]) -> NDArray[np.float64]:
    return np.average(parts, axis=0, weights=new_tokens)


def _maximum(parts: NDArray[np.float64], _: Sequence[int]) -> NDArray[np.float64]:
    maximum: NDArray[np.float64] = parts.max(axis=0)
    return maximum


def _maximum_and_least_neutral(parts: NDArray[np.float64], _: Sequence[int]) -> NDArray[np.float64]:
    merged: NDArray[np.float64] = parts.max(axis=0)
    merged[NEUTRAL] = parts[:, NEUTRAL].min()
    return merged


MERGES: Final[Mapping[str, Callable[[NDArray[np.float64], Sequence[int]], NDArray[np.float64]]]] = {
    "mean": _mean,
    "maximum": _maximum,
    "maximum, neutral: minimum": _maximum_and_least_neutral,
}
"""Merges of the probabilities [windows, emotions] of a document. They are not scaled to sum to one,
because that does not change the label.
"""
