"""Reads plain text: paragraphs separated by blank lines."""

import io
from collections.abc import Iterable, Iterator
from typing import Any

from undertone_client.jobs import InputError

from undertone_cli.readers.bad_lines import BadLine, OnBadLine
from undertone_cli.readers.column_types import RowTypes
from undertone_cli.readers.formats import TEXT_COLUMN, ReadOptions
from undertone_cli.readers.lines import read_lines
from undertone_cli.readers.raw_record import RawRecord

MAX_PARAGRAPH_CHARACTERS = 64 * 1024 * 1024
"""Maximum length of a paragraph. Bounds the memory for a text file without blank lines."""


def read_text(stream: "io.BufferedReader[Any]", name: str, options: ReadOptions, on_bad_line: OnBadLine) -> Iterator[RawRecord]:
    """A record for each block of non-blank lines, without the white space around it.

    A paragraph with a bad line is not read.

    Raises:
        InputError: a line is not UTF-8, a paragraph is longer than MAX_PARAGRAPH_CHARACTERS, or
            a column to keep is not `text`.
    """
    for column in options.keep:
        if column != TEXT_COLUMN:
            raise InputError(f"{name}: plain text has no column {column!r} to keep; it has only {TEXT_COLUMN!r} (--keep)")
    keeps, types = bool(options.keep), options.text_types
    lines: list[str] = []
    first_line = characters = 0
    is_bad = False
    for number, line in _universal_lines(read_lines(stream, name)):
        if isinstance(line, BadLine):
            on_bad_line(line)
            is_bad = True
        elif line.strip():
            first_line = first_line or number
            if not is_bad:
                lines.append(line)
                characters += len(line)
            if characters > MAX_PARAGRAPH_CHARACTERS:
                reason = f"the paragraph is longer than {MAX_PARAGRAPH_CHARACTERS} characters"
                on_bad_line(BadLine(first_line, reason, lambda: _LONG_PARAGRAPH_REMEDY))
                is_bad = True
        else:
            if lines and not is_bad:
                yield _text_record(name, first_line, lines, types, keeps=keeps)
            first_line, is_bad = 0, False
        if is_bad or not first_line:
            lines, characters = [], 0
    if lines:
        yield _text_record(name, first_line, lines, types, keeps=keeps)


_LONG_PARAGRAPH_REMEDY = "separate paragraphs by blank lines, or convert the file to JSONL or CSV"


def _universal_lines(lines: Iterable[tuple[int, str | BadLine]]) -> Iterator[tuple[int, str | BadLine]]:
    """Splits lines at single carriage returns, too, which end the lines of old text files."""
    number = 0
    for _, line in lines:
        if isinstance(line, BadLine) or "\r" not in line or line.find("\r") == len(line) - 2:
            number += 1
            yield number, line
            continue
        # Not splitlines(), which also splits at other characters, such as a form feed.
        for part in io.StringIO(line, newline=None):
            number += 1
            yield number, part


def _text_record(name: str, first_line: int, lines: list[str], types: RowTypes, *, keeps: bool) -> RawRecord:
    # A text has the same hash whether its lines end with LF or CRLF.
    text = "".join(lines).replace("\r\n", "\n").strip()
    return RawRecord(f"{name}, line {first_line}", text, has_columns=False, kept=(text,) if keeps else (), types=types)
