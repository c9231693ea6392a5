"""Valence: how pleasant the emotions of a paragraph are, from the probabilities of known labels."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

_POSITIVE_LABELS = """
admiration amusement approval caring desire excitement gratitude happiness happy joy love optimism pos
positive pride relief trust
"""
_NEGATIVE_LABELS = """
anger angry annoyance disappointment disapproval disgust embarrassment fear grief guilt hate neg
negative nervousness pessimism remorse sad sadness shame
"""
_POSITIVE, _NEGATIVE = frozenset(_POSITIVE_LABELS.split()), frozenset(_NEGATIVE_LABELS.split())
_NEITHER = frozenset({"anticipation", "confusion", "curiosity", "mixed", "neu", "neutral", "realization", "surprise"})
"""Labels of both signs. GoEmotions (Demszky et al., 2020) calls four of them ambiguous."""


@dataclass(frozen=True, slots=True)
class Valence:
    """The labels whose probabilities count, by sign.

    The valence of a paragraph is the sum of the positive probabilities minus the sum of the
    negative ones, from -1 to 1. The probabilities of a multi-label model are first divided by their
    sum if it exceeds 1.
    """

    positive: tuple[str, ...]
    negative: tuple[str, ...]
    neither: tuple[str, ...]

    @classmethod
    def of(cls, labels: Sequence[str]) -> "Valence | None":
        """The valence of a model's labels. None if a label is unknown, or a sign has no label."""
        positive, negative, neither = (
            tuple(label for label in labels if label.lower() in known) for known in (_POSITIVE, _NEGATIVE, _NEITHER)
        )
        if len(positive) + len(negative) + len(neither) < len(labels) or not positive or not negative:
            return None
        return cls(positive, negative, neither)

    def column(self, scores: pa.Table) -> pa.ChunkedArray:
        """The valence of each row."""
        positive, negative, neither = (_sum(scores, labels) for labels in (self.positive, self.negative, self.neither))
        total = pc.add(pc.add(positive, negative), neither)
        return pc.divide(pc.subtract(positive, negative), pc.max_element_wise(total, pa.scalar(1.0)))

    @property
    def sums(self) -> str:
        """The labels in words: "joy and love minus that of fear and anger"."""
        return f"{_words(self.positive)} minus that of {_words(self.negative)}"


def _sum(scores: pa.Table, labels: Sequence[str]) -> pa.ChunkedArray:
    total = pa.chunked_array([pa.repeat(0.0, scores.num_rows)])
    for label in labels:
        total = pc.add(total, scores[label].cast(pa.float64()))
    return total


def _words(labels: Sequence[str]) -> str:
    *first, last = labels
    return f"{', '.join(first)} and {last}" if first else last
