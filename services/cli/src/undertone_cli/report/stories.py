"""Which documents of a run are stories, and how finely each is drawn."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import pyarrow as pa
import pyarrow.compute as pc

from undertone_cli.readers import Format
from undertone_cli.report.survey import DocumentRange
from undertone_cli.run_folder import RunIdentity

MAX_STORIES = 5_000
"""Stories on the page: the longest. Bounds the size of the page."""
MAX_BINS = 480
"""Groups of paragraphs in which a long story is drawn. A multiple of `EDGES`."""
MAX_TOTAL_BINS = 100_000
"""Groups of all stories together. Bounds the size of the page and the memory."""
EDGES = 8
"""The sentence of a story describes its first and its last 1/EDGES."""

STORY, PLACE, KEY = "\0story", "\0place", "\0key"
"""The columns that `StoryPlan.locate` adds. A label's name cannot begin with this character."""


@dataclass(frozen=True, slots=True)
class StoryRange:
    """A story: positions `first` to `last`, in at most `bins` groups of equal width."""

    document: str
    first: int
    last: int
    paragraphs: int
    bins: int

    @property
    def span(self) -> int:
        """Number of positions, also of those without a score."""
        return self.last - self.first + 1


@dataclass(frozen=True)
class StoryPlan:
    """The stories of a run, in natural order (chapter 2 before 10).

    Attributes:
        stories: the stories.
        placements: for each document that is drawn, the index of its story, and the number that is
            added to the position of a paragraph for its position in the story. It is 0 unless
            several documents are one story.
        joined: for each document that is a chapter of a story, its first position in the story.
            Empty if each story is one document.
        omitted: number of stories that are not on the page.
        tables: number of documents that are tables of rows without an order, and no stories.
    """

    stories: Sequence[StoryRange]
    placements: Mapping[str, tuple[int, int]]
    joined: Mapping[str, int]
    omitted: int = 0
    tables: int = 0

    @cached_property
    def _arrays(self) -> dict[str, pa.Array]:
        stories = [(story.first, story.span, story.bins) for story in self.stories]
        first, span, bins = zip(*stories, strict=True) if stories else ((), (), ())
        story, shift = zip(*self.placements.values(), strict=True) if stories else ((), ())
        columns = {
            "first": first,
            "span": span,
            "bins": bins,
            "base": [0, *accumulate(bins)][:-1],
            "story": story,
            "shift": shift,
        }
        return {name: pa.array(values, pa.int64()) for name, values in columns.items()} | {
            "document": pa.array(list(self.placements), pa.string())
        }

    def locate(self, scores: pa.Table) -> pa.Table:
        """The rows of stories, with the columns STORY, PLACE and KEY.

        PLACE is the position in the story. KEY is the number of the group of paragraphs among
        those of all stories, in the order of the stories.
        """
        arrays = self._arrays
        codes = pc.index_in(scores["document"], value_set=arrays["document"])
        drawn = pc.is_valid(codes)
        scores, codes = scores.filter(drawn), codes.filter(drawn)
        story = arrays["story"].take(codes.combine_chunks())
        place = pc.add(scores["position"].cast(pa.int64()), arrays["shift"].take(codes.combine_chunks()))
        offset = pc.subtract(place, arrays["first"].take(story))
        group = pc.divide(pc.multiply(offset, arrays["bins"].take(story)), arrays["span"].take(story))
        key = pc.add(arrays["base"].take(story), group)
        for name, column in ((STORY, story), (PLACE, place), (KEY, key)):
            scores = scores.append_column(name, column)
        return scores

    @cached_property
    def starts(self) -> Sequence[int]:
        """The key of the first group of each story, and the end of the last."""
        return [0, *accumulate(story.bins for story in self.stories)]


def plan_stories(identity: RunIdentity, documents: Mapping[str, DocumentRange], *, join: bool = False) -> StoryPlan:
    """Choose the stories.

    A document is no story if it is a table of rows without a column for the document, because its
    rows have no order. A table in which each row is a document of its own has no stories either.

    Args:
        identity: the identity of the run.
        documents: the range of each document.
        join: whether all documents are the chapters of one story.
    """
    tables = {source.document for source in identity.sources if source.format != Format.TEXT}
    if identity.options.document_column is None:
        ranges = {name: found for name, found in documents.items() if name not in tables}
    else:
        rows = len(documents) > 1 and all(found.paragraphs == 1 for found in documents.values())
        only_tables = all(source.format != Format.TEXT for source in identity.sources)
        ranges = {} if rows and only_tables and not join else dict(documents)
    no_stories = len(documents) - len(ranges)
    if not ranges:
        return StoryPlan((), {}, {}, tables=no_stories)
    if join:
        return _joined(ranges, no_stories)
    longest = sorted(ranges, key=lambda name: (-ranges[name].paragraphs, natural_key(name)))[:MAX_STORIES]
    names = sorted(longest, key=natural_key)
    limit = _bins_per_story([ranges[name].paragraphs for name in names])
    return StoryPlan(
        [_story(name, ranges[name], limit) for name in names],
        {name: (index, 0) for index, name in enumerate(names)},
        {},
        omitted=len(ranges) - len(names),
        tables=no_stories,
    )


def _joined(ranges: Mapping[str, DocumentRange], tables: int) -> StoryPlan:
    names = sorted(ranges, key=natural_key)
    ends = accumulate(ranges[name].last - ranges[name].first + 1 for name in names)
    starts = dict(zip(names, [0, *ends][:-1], strict=True))
    last = starts[names[-1]] + ranges[names[-1]].last - ranges[names[-1]].first
    whole = DocumentRange(0, last, sum(found.paragraphs for found in ranges.values()))
    shifts = {name: (0, starts[name] - ranges[name].first) for name in names}
    return StoryPlan([_story(common_name(names), whole, MAX_BINS)], shifts, starts, tables=tables)


def _story(name: str, found: DocumentRange, limit: int) -> StoryRange:
    return StoryRange(name, found.first, found.last, found.paragraphs, min(limit, found.last - found.first + 1))


def _bins_per_story(paragraphs: Sequence[int]) -> int:
    """The highest number of groups of a story with which all stories stay below the limit."""
    limits = range(MAX_BINS, EDGES, -EDGES)
    return next((limit for limit in limits if sum(min(limit, count) for count in paragraphs) <= MAX_TOTAL_BINS), EDGES)


def common_name(names: Sequence[str]) -> str:
    """The common beginning of names, without a number, white space and punctuation at its end."""
    first, last = min(names), max(names)
    length = next((i for i, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first))
    return re.sub(r"[\W\d_]+$", "", first[:length]) or "all documents"


def title_of(document: str) -> str:
    """`the-ninth-stair` as `The ninth stair`. Returns a name in another style unchanged."""
    if re.fullmatch(r"[a-z0-9]+([-_][a-z0-9]+)*", document):
        words = re.sub("[-_]", " ", document)
        return words[0].upper() + words[1:]
    return document


def natural_key(name: str) -> list[tuple[int, str]]:
    """Sorts numbers in names by their value."""
    return [(int(digits or -1), rest) for digits, rest in re.findall(r"(\d+)|(\D+)", name)]
