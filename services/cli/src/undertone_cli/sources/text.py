"""Plain text: paragraphs separated by blank lines."""

from collections.abc import Iterator
from typing import BinaryIO

from undertone_client.jobs import InputError

from undertone_cli.sources.item import Record
from undertone_cli.sources.lines import numbered_lines

LONGEST_PARAGRAPH = 64 * 1024 * 1024
"""Characters. Beyond it, the file has no blank lines, and would be held in memory as one paragraph."""


def read_text(stream: BinaryIO, name: str) -> Iterator[Record]:
    """A record for each run of lines that are not blank, its lines joined as they stand, without the white space around it.

    Raises:
        InputError: a line is not UTF-8, or a paragraph does not end.
    """
    lines: list[str] = []
    first = characters = 0
    for number, line in numbered_lines(stream, name):
        if line.strip():
            first = first or number
            lines.append(line)
            characters += len(line)
            if characters > LONGEST_PARAGRAPH:
                raise InputError(
                    f"{name}, line {first}: a paragraph of more than {LONGEST_PARAGRAPH} characters; "
                    "separate paragraphs by blank lines, or give the file as JSONL or CSV"
                )
        elif lines:
            yield _record(name, first, lines)
            lines, first, characters = [], 0, 0
    if lines:
        yield _record(name, first, lines)


def _record(name: str, first: int, lines: list[str]) -> Record:
    # Line ends are made alike, so that a text has the same hash whichever machine saved it.
    return Record(f"{name}, line {first}", "".join(lines).replace("\r\n", "\n").strip(), columnless=True)
