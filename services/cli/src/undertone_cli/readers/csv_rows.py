"""Reads the rows of CSV and TSV."""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal

from undertone_client.jobs import InputError

from undertone_cli.readers.bad_lines import BadLine, OnBadLine
from undertone_cli.readers.columns import check_columns
from undertone_cli.readers.encoding import conversion
from undertone_cli.readers.formats import ReadOptions
from undertone_cli.readers.lines import read_lines
from undertone_cli.readers.raw_record import RawRecord
from undertone_cli.readers.swallowed_rows import swallowed_row

MAX_CSV_FIELD_CHARACTERS = 64 * 1024 * 1024
"""Maximum length of a CSV field. Bounds the memory for a file with an unclosed quote."""
_LINE_END_COMMAND = r"tr '\r' '\n' <"
_OTHER_DELIMITERS = ";\t|,"


def read_csv(
    stream: "io.BufferedReader[Any]", name: str, options: ReadOptions, on_bad_line: OnBadLine, *, delimiter: str
) -> Iterator[RawRecord]:
    """A record for each row of RFC 4180 with a header. Blank lines are ignored.

    A row is bad if it cannot be parsed, if it has another number of fields than the header, except
    for empty ones at its end, or if one of its texts contains the next row.

    Raises:
        InputError: the header is bad, a column is missing, or a quote is not closed before the end
            of the file, so that it contains all rows below it.
    """
    csv.field_size_limit(MAX_CSV_FIELD_CHARACTERS)
    types = options.text_types
    lines = _Lines(stream, name)
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if options.quotes else csv.QUOTE_NONE
    rows = csv.reader(lines, strict=True, delimiter=delimiter, quoting=quoting)
    header = _header(rows, lines, name)
    check_columns(header, name, options, hint=_delimiter_hint(header))
    indexes = [None if column is None else header.index(column) for column in options.columns]
    while True:
        start = rows.line_num + 1
        try:
            row = next(rows, None)
        except csv.Error as error:
            bad = _unparsed_row(error, start, rows.line_num, name)
            if lines.ended:
                raise bad.error(name) from None
            on_bad_line(lines.take_bad() or bad)
            continue
        if row is None:
            return
        bad_row = lines.take_bad() or _bad_row(row, len(header), indexes[1] or 0, start, rows.line_num, delimiter)
        if bad_row is not None:
            on_bad_line(bad_row)
        elif row:
            text, ident, document, *kept = (None if index is None else row[index] for index in indexes)
            yield RawRecord(f"{name}, line {start}", text, ident, document, kept=tuple(kept), types=types)


class _Lines(Iterator[str]):
    """The lines for the parser. A bad line is an empty one, and is kept for its row.

    Attributes:
        ended: whether there are no further lines.
    """

    def __init__(self, stream: "io.BufferedReader[Any]", name: str) -> None:
        self._lines = read_lines(stream, name)
        self._bad: BadLine | None = None
        self.ended = False

    def take_bad(self) -> BadLine | None:
        """The first bad line since the last call."""
        bad, self._bad = self._bad, None
        return bad

    def __next__(self) -> str:
        _, line = next(self._lines, (0, None))
        if line is None:
            self.ended = True
            raise StopIteration
        if isinstance(line, BadLine):
            self._bad = self._bad or line
            return "\n"
        return line


def _header(rows: Any, lines: _Lines, name: str) -> list[str]:
    try:
        header: list[str] | None = next(rows, None)
    except csv.Error as error:
        raise _unparsed_row(error, 1, rows.line_num, name).error(name) from None
    if (bad := lines.take_bad()) is not None:
        raise bad.error(name)
    if header is None:
        raise InputError(f"{name} is empty; a CSV or TSV file starts with a line of column names")
    return header


def _delimiter_hint(header: Sequence[str]) -> str:
    """The remedy if the whole header is one column, because the fields have another delimiter."""
    if len(header) != 1:
        return ""
    found = max(_OTHER_DELIMITERS, key=header[0].count)
    if found not in header[0]:
        return ""
    return f"If the fields are separated by another character, set it: --delimiter {_spelling(found)}"


def _spelling(delimiter: str) -> str:
    return r"'\t'" if delimiter == "\t" else f"'{delimiter}'"


def _bad_row(row: Sequence[str], columns: int, id_index: int, first: int, last: int, delimiter: str) -> BadLine | None:
    """What is wrong with a row whose text would be lost, or be in another column."""
    if row and len(row) != columns and (len(row) < columns or any(row[columns:])):
        problem = f"{len(row)} fields, but the header has {columns} columns"
        return BadLine(first, problem + _extent(first, last), lambda: _fields_remedy(len(row), columns, delimiter))
    if last > first and (swallowed := swallowed_row(row, columns, id_index, delimiter)) is not None:
        problem = f"a quoted text in lines {first} to {last} contains a line that looks like the row {swallowed!r}"
        return BadLine(first, problem, lambda: _SWALLOWED_REMEDY)
    return None


def _extent(first: int, last: int) -> str:
    return f" (lines {first} to {last})" if last > first else ""


_SWALLOWED_REMEDY = (
    "close the quote before that line, and double each quotation mark in a quoted text. If the line is a part of the text, "
    "convert the file to JSONL"
)


def _fields_remedy(fields: int, expected: int, delimiter: str) -> str:
    character = "tab" if delimiter == "\t" else "comma" if delimiter == "," else repr(delimiter)
    if fields > expected:
        return f"put each field that contains a {character} into double quotes"
    return f"put each field that contains a line break into double quotes, and write the {character} before empty fields, too"


_PROBLEMS: Final = {
    "unexpected end of data": "a quoted field has no end",
    "expected after": "text follows the closing quote of a field",
    "field limit": "a field is too long",
    "new-line character": "a carriage return ends a line",
}
"""What parts of the messages of Python's parser mean."""


def _unparsed_row(error: csv.Error, first: int, last: int, name: str) -> BadLine:
    def remedy() -> str:
        if "new-line character" in str(error):
            return f"its lines end with a carriage return only: {conversion(_LINE_END_COMMAND, name)}"
        if last > first or "field limit" in str(error):  # the parser finds an unclosed quote far below it
            return f"check the row that starts in line {first} for an unclosed quote"
        return "double each quotation mark in a quoted text, or read all of them as text with --no-quotes"

    problem = next((problem for part, problem in _PROBLEMS.items() if part in str(error)), str(error))
    return BadLine(first, f"not valid CSV ({problem}){_extent(first, last)}", remedy)
