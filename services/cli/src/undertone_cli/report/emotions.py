"""Emotions over the whole run: how often each leads, how probable it is, and where it is strongest."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True, slots=True)
class Emotion:
    """One label over all scored paragraphs: in how many it leads, which share of them that is, its mean probability."""

    label: str
    leading: int
    share: float
    mean: float


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A scored paragraph without its text, and the probability it was picked for."""

    id: str
    document: str
    position: int
    text_sha256: str
    probability: float


def emotions(scores: pa.Table, labels: Sequence[str]) -> list[Emotion]:
    """Totals per label, in the order given."""
    leading = {entry["values"].as_py(): entry["counts"].as_py() for entry in pc.value_counts(scores["label"])}
    return [
        Emotion(label, leading.get(label, 0), leading.get(label, 0) / scores.num_rows, pc.mean(scores[label]).as_py())
        for label in labels
    ]


def strongest(scores: pa.Table, label: str, *, count: int) -> list[Paragraph]:
    """The paragraphs with the highest probability of a label, strongest first; ties in order of document and position."""
    keys = [(label, "descending"), ("document", "ascending"), ("position", "ascending")]
    rows = scores.take(pc.select_k_unstable(scores, count, sort_keys=keys))
    return [
        Paragraph(row["id"], row["document"], row["position"], row["text_sha256"], row[label])
        for row in rows.select(["id", "document", "position", "text_sha256", label]).to_pylist()
    ]
