"""Plain text: paragraphs separated by blank lines."""

from collections.abc import Iterator
from typing import BinaryIO

from undertone_client.sources.item import Record
from undertone_client.sources.lines import numbered_lines


def read_text(stream: BinaryIO, name: str) -> Iterator[Record]:
    """A record for each run of lines that are not blank, its lines joined as they stand, without the white space around it."""
    lines: list[str] = []
    first = 0
    for number, line in numbered_lines(stream, name):
        if line.strip():
            first = first or number
            lines.append(line)
        elif lines:
            yield _record(name, first, lines)
            lines, first = [], 0
    if lines:
        yield _record(name, first, lines)


def _record(name: str, first: int, lines: list[str]) -> Record:
    # Line ends are made alike, so that a text has the same hash whichever machine saved it.
    return Record(f"{name}, line {first}", "".join(lines).replace("\r\n", "\n").strip(), columnless=True)
