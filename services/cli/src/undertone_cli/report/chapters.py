"""Where the chapters of a story begin, from a column of the run or from headings in its inputs."""

import io
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc
from undertone_client.jobs import InputError, OutputError

from undertone_cli.readers import Format, InputSet
from undertone_cli.readers.inputs import Input
from undertone_cli.readers.inspection import HashingStream
from undertone_cli.report.stories import PLACE, STORY, StoryPlan, title_of
from undertone_cli.run_folder import RunIdentity

MAX_CHAPTERS = 300
"""A story with more values in the column has no chapters: the column is something else."""
DEFAULT_COLUMN = "chapter"
DOCUMENT_COLUMN = "document"
_MAX_HEADING_CHARACTERS = 100
_CONTENTS = 3
"""More headings in succession than this are a table of contents."""

_NUMBER = (
    r"(?:\d{1,4}|[IVXLCDM]{1,9}|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|"
    r"sixteen|seventeen|eighteen|nineteen|twenty|the first|the second|the third|the last)"
)
_KEYWORD = (
    r"(?:chapter|part|book|volume|section|act|scene|canto|stave|letter|kapitel|teil|buch|chapitre|partie|cap[ií]tulo|parte)"
)
_HEADING = re.compile(
    rf"(?:#{{1,6}}\s+\S.*"  # Markdown
    rf"|chapter\s+{_NUMBER}\b.*|{_KEYWORD}\s+{_NUMBER}(?:-{_NUMBER})?(?:\s*[.:\-–—].*)?"
    r"|(?:prologue|epilogue|preface|foreword|introduction|interlude|afterword|conclusion)[.:]?"
    r"|(?-i:[IVXLC]{1,7}|\d{1,3})\.?)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Chapter:
    """A chapter of a story.

    Attributes:
        place: the first place.
        title: its title.
        position: the position of this place in its document.
    """

    place: int
    title: str
    position: int


def is_heading(text: str) -> bool:
    """Whether a paragraph is the heading of a chapter, such as "Chapter 9" or "## The storm"."""
    lines = text.strip().splitlines()
    return (
        0 < len(lines) <= 2
        and len(text.strip()) <= _MAX_HEADING_CHARACTERS
        and _HEADING.fullmatch(lines[0].strip(" *_")) is not None
    )


def headings(paragraphs: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """The chapters of one document: position and title.

    Headings in succession make one chapter, which begins at the last of them: "Part II", "Chapter
    9". The headings of a table of contents are left out.

    Args:
        paragraphs: position and text of each paragraph, in order.
    """
    found: list[tuple[int, str]] = []
    for position, text in paragraphs:
        if is_heading(text):
            found.append((position, " ".join(text.strip(" #*_\n").split())))
        elif found:
            yield found[-1][0], _title(found)
            found = []


def _title(found: list[tuple[int, str]]) -> str:
    return found[-1][1] if len(found) > _CONTENTS else " · ".join(title for _, title in found)


def column_chapters(parts: Iterable[pa.Table], plan: StoryPlan, identity: RunIdentity, column: str) -> dict[int, list[Chapter]]:
    """The chapters of each story: the places where a value of the column occurs first.

    Raises:
        OutputError: the run has no such column.
    """
    if column == DOCUMENT_COLUMN:
        names = [(place, name) for name, place in plan.joined.items()]
        shifts = {name: shift for name, (_, shift) in plan.placements.items()}
        return {0: [Chapter(place, title_of(name), place - shifts[name]) for place, name in sorted(names)]} if names else {}
    if column not in identity.options.keep:
        kept = ", ".join(identity.options.keep) or "none"
        raise OutputError(
            f"--chapter-column {column!r}: the run did not keep this column (it kept: {kept}); score with --keep {column}, "
            f"or use --chapter-column {DOCUMENT_COLUMN}"
        )
    firsts: defaultdict[int, dict[str, int]] = defaultdict(dict)
    for part in parts:
        located = plan.locate(part)
        rows = pa.table({"story": located[STORY], "place": located[PLACE], "value": located[column].cast(pa.string())})
        rows = rows.filter(pc.is_valid(rows["value"])).group_by(["story", "value"]).aggregate([("place", "min")])
        for row in rows.to_pylist():
            places = firsts[row["story"]]
            places[row["value"]] = min(row["place_min"], places.get(row["value"], row["place_min"]))
    return {
        story: [Chapter(place, value, place) for value, place in sorted(places.items(), key=lambda pair: pair[1])]
        for story, places in firsts.items()
        if 1 < len(places) <= MAX_CHAPTERS
    }


def heading_chapters(identity: RunIdentity, plan: StoryPlan) -> dict[int, list[Chapter]]:
    """The chapters of the stories that are text inputs. Reads these inputs again.

    An input that has changed, or cannot be read, gives none.
    """
    chapters: dict[int, list[Chapter]] = {}
    options = replace(identity.options, keep=())
    for source in identity.sources:
        placement = plan.placements.get(source.document)
        if source.format != Format.TEXT or source.sha256 is None or placement is None or plan.joined:
            continue
        story, shift = placement
        hashing: list[HashingStream] = []

        def observe(_: Input, stream: io.RawIOBase, hashing: list[HashingStream] = hashing) -> io.RawIOBase:
            hashing.append(HashingStream(stream))
            return hashing[0]

        try:
            paragraphs = InputSet([source.input], options).paragraphs(stream_filter=observe)
            found = list(headings((each.position, each.text or "") for each in paragraphs))
        except InputError:
            continue
        if hashing and hashing[0].sha256 == source.sha256 and 1 < len(found) <= MAX_CHAPTERS:
            chapters[story] = [Chapter(position + shift, title, position) for position, title in found]
    return chapters
