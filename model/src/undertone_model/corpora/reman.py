"""REMAN: passages of three sentences from novels, the middle sentence annotated (Kim and Klinger,
2018; CC BY 4.0).

The public release is one XML file, reman-version1.0.xml. It has the passage and the adjudicated
spans of each document, but does not mark the middle sentence; its text is the passage. A .tsv file
has the columns id, author, book, emotions, sentence and passage; its text is the sentence.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from undertone_model.corpora.plutchik import PLUTCHIK
from undertone_model.corpora.rows import read_rows, split_labels
from undertone_model.corpora.splits import split_of_author
from undertone_model.data import Split
from undertone_model.errors import DataError

MAPPING: Final = {**PLUTCHIK, "other-emotion": None}


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage by `author`, its annotated sentence, and the labels of that sentence."""

    author: str
    labels: list[str]
    sentence: str
    passage: str


def read(path: Path, split: Split | None = None) -> Iterator[tuple[str, list[str]]]:
    """The rows of a .xml or .tsv file, or of one split of it. A passage without a span of an
    emotion is neutral.
    """
    if path.suffix == ".xml":
        yield from _read_xml(path, split)
        return
    for row in read_passages(path, split):
        yield row.sentence, row.labels


def read_passages(path: Path, split: Split | None = None) -> Iterator[Passage]:
    """The rows of a .tsv file, or of one split of it. Raises DataError."""
    expected = "id, author, book, emotions, sentence and passage"
    # Some titles of books have two lines.
    for number, row in read_rows(path, expected, columns=6, header=True, line_breaks=True):
        labels = split_labels(path, number, row[3], tuple(MAPPING))
        if split in (None, split_of_author(row[1])):
            yield Passage(row[1], labels, row[4], row[5])


def _read_xml(path: Path, split: Split | None) -> Iterator[tuple[str, list[str]]]:
    try:
        # The user chose the file, and Expat limits the expansion of entities.
        documents = ElementTree.parse(path).getroot().findall("document")  # noqa: S314
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; expected reman-version1.0.xml") from None
    except (OSError, ElementTree.ParseError) as error:
        raise DataError(f"cannot read {path}: {error}") from None
    for number, document in enumerate(documents, 1):
        text = document.findtext("text")
        if not text:
            raise DataError(f"{path}, document {number}: expected a <text>")
        if split not in (None, split_of_author(document.get("author", ""))):
            continue
        spans = {span.get("type", "") for span in document.findall("adjudicated/spans/span")}
        # Other spans are characters and events.
        yield text.strip(), sorted(spans & set(MAPPING)) or ["neutral"]
