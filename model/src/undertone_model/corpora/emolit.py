"""EmoLit: sentences of books from Project Gutenberg with 38 emotions (Rei and Mladenić, 2023;
CC BY-SA 4.0).

The public release has gold.tsv, which people annotated, and larger files that a model annotated.
Each has a header: tid, text, and one column for each emotion, which is 1 if the sentence has it.
A sentence without emotions is neutral.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from undertone_model.corpora.rows import read_rows
from undertone_model.emotions import GOEMOTIONS
from undertone_model.errors import DataError

_OWN: Final = {
    "boredom": None,
    "calmness": None,
    "courage": None,
    "despair": "sadness",
    "doubt": None,
    "envy": None,
    "faith": None,
    "frustration": "anger",
    "greed": None,
    "guilt": "sadness",
    "indifference": None,
    "nostalgia": None,
    "pain": None,
    "trust": None,
}
"""Labels that GoEmotions does not have."""

_SHARED: Final = (
    "admiration",
    "amusement",
    "anger",
    "annoyance",
    "caring",
    "curiosity",
    "desire",
    "disappointment",
    "disgust",
    "embarrassment",
    "excitement",
    "fear",
    "gratitude",
    "grief",
    "joy",
    "love",
    "nervousness",
    "optimism",
    "pride",
    "relief",
    "sadness",
    "surprise",
)

MAPPING: Final = {
    **{label: GOEMOTIONS[label] for label in _SHARED},
    **_OWN,
    # Opinions. They are not neutral here, because they often come with an emotion.
    "approval": None,
    "disapproval": None,
    "neutral": "neutral",
}
"""Labels of GoEmotions have the same emotion as there."""

HEADER: Final = ("tid", "text")
_COLUMNS: Final = len(HEADER) + len(MAPPING) - 1


def read(path: Path) -> Iterator[tuple[str, list[str]]]:
    """The rows of a .tsv file whose values are 0 or 1."""
    expected = f"tid, text and {_COLUMNS - len(HEADER)} emotions"
    labels: list[str] = []
    for number, row in read_rows(path, expected, columns=_COLUMNS):
        if not labels:
            labels = _labels(path, row)
            continue
        values = row[len(HEADER) :]
        if other := next((value for value in values if value not in ("0", "1")), None):
            raise DataError(f"{path}, line {number}: the value {other!r} is invalid; expected 0 or 1, as in gold.tsv")
        yield row[1], [label for label, value in zip(labels, values, strict=True) if value == "1"] or ["neutral"]


def _labels(path: Path, header: list[str]) -> list[str]:
    labels = header[len(HEADER) :]
    if tuple(header[: len(HEADER)]) != HEADER or set(labels) != set(MAPPING) - {"neutral"}:
        raise DataError(f"{path}, line 1: the header is invalid; expected tid, text and the emotions of EmoLit")
    return labels
