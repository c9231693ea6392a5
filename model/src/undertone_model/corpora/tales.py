"""Fairy tales of Potter, Andersen and the Grimms, with two readers' labels of each sentence (Alm,
2008; GNU GPL).

The public release has a folder for each author. The files of their folders `emmood` have the number
of the sentence (0:0), the primary emotion by each reader (N:Sa), the mood by each reader and the
sentence. A sentence on which the readers disagree has two emotions.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from undertone_model.corpora.rows import read_rows
from undertone_model.errors import DataError

MAPPING: Final = {
    "H": "joy",
    "Sa": "sadness",
    "A": "anger",
    "F": "fear",
    "Su+": "surprise",
    "Su-": "surprise",
    "D": "disgust",
    "N": "neutral",
}


def read(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """The sentences of all files `*.emmood` in `folder` and in its subfolders."""
    for path in sorted(folder.rglob("*.emmood")):
        for number, row in read_rows(path, "number, emotions, moods and sentence", columns=4):
            labels = row[1].split(":")
            if unknown := next((label for label in labels if label not in MAPPING), None):
                expected = ", ".join(MAPPING)
                raise DataError(f"{path}, line {number}: the label {unknown!r} is unknown; expected one of {expected}")
            yield row[3], labels
