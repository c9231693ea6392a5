"""Stories: the documents of a run, each with its arc."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from undertone_cli.report.arc import Arc, Bin, bin_paragraphs, smooth


@dataclass(frozen=True, slots=True)
class Story:
    """One document: scored paragraphs, mean probabilities, its paragraphs in bins and the arc through them.

    Probabilities are in the order of the labels that the story was read with.
    """

    document: str
    paragraphs: int
    means: tuple[float, ...]
    bins: tuple[Bin, ...]
    arc: Arc

    @property
    def title(self) -> str:
        """The document's name, to read."""
        return title_of(self.document)


def title_of(document: str) -> str:
    """A name to read: `the-ninth-stair` becomes “The ninth stair”; what does not look like a file's stem stays as it is."""
    if re.fullmatch(r"[a-z0-9]+([-_][a-z0-9]+)*", document):
        words = re.sub("[-_]", " ", document)
        return words[0].upper() + words[1:]
    return document


def read_stories(scores: pa.Table, labels: Sequence[str], *, limit: int) -> list[Story]:
    """The `limit` longest documents of sorted scores, in natural order of their names (chapter 2 before chapter 10)."""
    extents = _extents(scores)
    longest = sorted(extents, key=lambda name: (-extents[name][1], _natural(name)))[:limit]
    return [_story(name, scores.slice(*extents[name]), labels) for name in sorted(longest, key=_natural)]


def count_documents(scores: pa.Table) -> int:
    """How many documents the scores are of."""
    return len(scores["document"].unique())


def _extents(scores: pa.Table) -> dict[str, tuple[int, int]]:
    """Offset and length of each document; the table is sorted by document, so each is one run of rows."""
    runs = pc.run_end_encode(scores["document"].combine_chunks())
    ends = runs.run_ends.to_pylist()
    starts = [0, *ends[:-1]]
    return {name: (start, end - start) for name, start, end in zip(runs.values.to_pylist(), starts, ends, strict=True)}


def _story(document: str, rows: pa.Table, labels: Sequence[str]) -> Story:
    columns = [rows[label].to_pylist() for label in labels]
    bins = bin_paragraphs(rows["position"].to_pylist(), columns)
    means = tuple(sum(column) / rows.num_rows for column in columns)
    return Story(document, rows.num_rows, means, tuple(bins), smooth(bins))


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(digits or -1), rest) for digits, rest in re.findall(r"(\d+)|(\D+)", name)]
