"""XED: lines of film subtitles with the emotions of Plutchik (Öhman et al., 2020; CC BY 4.0).

The public release, AnnotatedData/en-annotated.tsv, has a sentence and numbers: 1 to 8 are the
emotions in alphabetical order, and 0 is neutral. A file whose first line is "emotions", a tab and
"text" has names, and the text last.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from undertone_model.corpora.plutchik import PLUTCHIK
from undertone_model.corpora.rows import read_rows, split_labels
from undertone_model.corpora.splits import split_of_line, words
from undertone_model.data import Split

NUMBERS: Final = {
    str(number): name
    for number, name in enumerate(
        ("neutral", "anger", "anticipation", "disgust", "fear", "joy", "sadness", "surprise", "trust")
    )
}
HEADER: Final = ["emotions", "text"]
_EARLIER: Final[Mapping[Split, tuple[Split, ...]]] = {"train": (), "dev": ("train",), "test": ("train", "dev")}


def read(path: Path, split: Split | None = None) -> Iterator[tuple[str, list[str]]]:
    """The rows of a .tsv file in either form, or of one split of it.

    Many short lines occur several times with other punctuation. Those whose words are in `train`
    are in no other split, and those in `dev` are not in `test`.
    """
    rows = [(text, labels, split_of_line(text)) for text, labels in _read_all(path)]
    earlier = {words(text) for text, _, of_row in rows if split and of_row in _EARLIER[split]}
    for text, labels, of_row in rows:
        if split in (None, of_row) and words(text) not in earlier:
            yield text, labels


def _read_all(path: Path) -> Iterator[tuple[str, list[str]]]:
    named = False
    for number, row in read_rows(path, "a sentence and its emotions", columns=2):
        if number == 1 and row == HEADER:
            named = True
        elif named:
            yield row[1], split_labels(path, number, row[0], tuple(PLUTCHIK))
        else:
            yield row[0], [NUMBERS[label] for label in split_labels(path, number, row[1], tuple(NUMBERS))]
