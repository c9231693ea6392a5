"""Reads the records of one file: plain text, JSON Lines, CSV or Apache Parquet."""

import csv
import enum
import io
import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from undertone_client.jobs import InputError

from undertone_cli.readers.column_types import STRING, RowTypes
from undertone_cli.readers.lines import read_lines
from undertone_cli.readers.parquet_columns import kept_values, parquet_types
from undertone_cli.readers.raw_record import RawRecord, json_kind
from undertone_cli.readers.swallowed_rows import swallowed_row

MAX_PARAGRAPH_CHARACTERS = 64 * 1024 * 1024
"""Maximum length of a paragraph. Bounds the memory for a text file without blank lines."""
MAX_CSV_FIELD_CHARACTERS = 64 * 1024 * 1024
"""Maximum length of a CSV field. Bounds the memory for a file with an unclosed quote."""
PARQUET_BATCH_ROWS = 1024
PARQUET_BATCH_BYTES = 8 * 1024 * 1024
"""Maximum size of a batch. Longer texts reduce the number of rows."""
PARQUET_BUFFER_BYTES = 1024 * 1024
"""Makes Arrow fetch pages as needed; else it holds a whole column of a row group in memory."""
TEXT_COLUMN = "text"
"""The name of the column of plain text."""
_TEXT_TYPES = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
"""Writers give the null type to a column that contains nulls only."""


class Format(enum.StrEnum):
    """Format of an input."""

    TEXT = "text"
    """Paragraphs separated by blank lines."""
    JSONL = "jsonl"
    """A JSON object on each line."""
    CSV = "csv"
    """Comma-separated values with a header."""
    PARQUET = "parquet"
    """Apache Parquet."""


FORMAT_BY_SUFFIX = {
    ".txt": Format.TEXT,
    ".text": Format.TEXT,
    ".md": Format.TEXT,
    ".jsonl": Format.JSONL,
    ".ndjson": Format.JSONL,
    ".csv": Format.CSV,
    ".parquet": Format.PARQUET,
}


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Format and columns of the inputs. Plain text has no columns.

    Attributes:
        format: format of every input; None takes it from each file's suffix, and text for stdin.
        text_column: the column (in JSONL, the field) of the text.
        id_column: the column of the id; None makes ids of the form `<document>/<position>`.
        document_column: the column of the document's name; None takes the file's name without
            suffix.
        keep: columns that the output also has. Plain text has one column, `text`.
        min_characters: shorter paragraphs are not scored. 0 scores all.
    """

    format: Format | None = None
    text_column: str = "text"
    id_column: str | None = None
    document_column: str | None = None
    keep: tuple[str, ...] = ()
    min_characters: int = 0

    @property
    def columns(self) -> tuple[str | None, ...]:
        """The columns of text, id and document, and those to keep."""
        return self.text_column, self.id_column, self.document_column, *self.keep

    @property
    def has_types(self) -> bool:
        """Whether the output has columns whose types depend on the inputs."""
        return self.id_column is not None or bool(self.keep)

    @property
    def flags(self) -> tuple[str, ...]:
        """The options that name `columns`."""
        return "--text-column", "--id-column", "--document-column", *("--keep" for _ in self.keep)

    @property
    def text_types(self) -> RowTypes:
        """The types of columns that contain strings only."""
        return RowTypes(STRING, tuple(STRING for _ in self.keep))


def read_text(stream: "io.BufferedReader[Any]", name: str, options: ReadOptions) -> Iterator[RawRecord]:
    """A record for each block of non-blank lines, without the white space around it.

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
    for number, line in _universal_lines(read_lines(stream, name)):
        if line.strip():
            first_line = first_line or number
            lines.append(line)
            characters += len(line)
            if characters > MAX_PARAGRAPH_CHARACTERS:
                raise InputError(
                    f"{name}, line {first_line}: the paragraph is longer than {MAX_PARAGRAPH_CHARACTERS} characters; "
                    "separate paragraphs by blank lines, or convert the file to JSONL or CSV"
                )
        elif lines:
            yield _text_record(name, first_line, lines, types, keeps=keeps)
            lines, first_line, characters = [], 0, 0
    if lines:
        yield _text_record(name, first_line, lines, types, keeps=keeps)


def read_jsonl(stream: "io.BufferedReader[Any]", name: str, options: ReadOptions) -> Iterator[RawRecord]:
    """A record for each non-blank line. A field that is missing after the first line is null.

    Raises:
        InputError: a line is not a JSON object or has a field twice, or the first line lacks a
            column.
    """
    checked = False
    keys = [json.dumps(column) for column in options.columns if column is not None]
    for number, line in read_lines(stream, name):
        if not line.strip():
            continue
        location = f"{name}, line {number}"
        row = _parse_json(line, location)
        if any(line.count(key) > 1 for key in keys):
            _check_repeated_fields(line, location, options)
        if not checked:
            _check_columns(row.keys(), location, options)
            checked = True
        text, ident, document, *kept = (None if column is None else row.get(column) for column in options.columns)
        missing = options.text_column if options.text_column not in row else None
        yield RawRecord(location, text, ident, document, kept=tuple(kept), missing=missing)


def read_csv(stream: "io.BufferedReader[Any]", name: str, options: ReadOptions) -> Iterator[RawRecord]:
    """A record for each row of RFC 4180 with a header. Blank lines are ignored.

    Raises:
        InputError: the header is missing, a column is missing, a row cannot be parsed, or it has
            another number of fields than the header, or a text contains the next row. Empty fields
            beyond the header's are ignored.
    """
    csv.field_size_limit(MAX_CSV_FIELD_CHARACTERS)
    types = options.text_types
    rows = csv.reader((line for _, line in read_lines(stream, name)), strict=True)
    end_of_previous = 0
    try:
        header = next(rows, None)
        if header is None:
            raise InputError(f"{name} is empty; a CSV file starts with a line of column names")
        _check_columns(header, name, options)
        indexes = [None if column is None else header.index(column) for column in options.columns]
        end_of_previous = rows.line_num
        for row in rows:
            start, end_of_previous = end_of_previous + 1, rows.line_num
            location = f"{name}, line {start}"
            if not row:
                continue
            if len(row) != len(header) and (len(row) < len(header) or any(row[len(header) :])):
                raise InputError(f"{location}: {_ragged_row(len(row), len(header))}")
            if end_of_previous > start and (swallowed := swallowed_row(row, len(header), indexes[1] or 0)) is not None:
                raise InputError(
                    f"{location}: a quoted text contains a line that looks like the row {swallowed!r}; close the quote before "
                    "that line, and double each quotation mark in a quoted text. If the line is a part of the text, convert "
                    "the file to JSONL"
                )
            text, ident, document, *kept = (None if index is None else row[index] for index in indexes)
            yield RawRecord(location, text, ident, document, kept=tuple(kept), types=types)
    except csv.Error as error:
        # The parser notices an unclosed quote only far below the row that contains it.
        start = end_of_previous + 1
        hint = f"; the row starts in line {start}: check it for an unclosed quote" if rows.line_num > start else ""
        if "new-line character" in str(error):
            hint = "; its lines end with a carriage return only: convert it with: tr '\\r' '\\n' < FILE > NEW"
        raise InputError(f"{name}, line {rows.line_num}: not valid CSV ({error}){hint}") from None


def _ragged_row(fields: int, expected: int) -> str:
    """Why a row is refused: a part of its text would be lost, or belong to another column."""
    remedy = (
        "put each field that contains a comma into double quotes"
        if fields > expected
        else "put each field that contains a line break into double quotes, and write empty fields as ,,"
    )
    return f"{fields} fields, but the header has {expected} columns; {remedy}"


def read_parquet(file: Any, name: str, options: ReadOptions) -> Iterator[RawRecord]:
    """A record for each row. `file` is a path or an Arrow file. Reads only the named columns.

    Raises:
        InputError: the file is not Parquet, a column is missing, or the text column is not of
            strings.
    """
    try:
        with pq.ParquetFile(file, buffer_size=PARQUET_BUFFER_BYTES, pre_buffer=False) as parquet:
            schema = parquet.schema_arrow
            _check_columns(schema.names, name, options)
            kind = schema.field(options.text_column).type
            values = kind.value_type if pa.types.is_dictionary(kind) else kind
            if not any(accepts(values) for accepts in _TEXT_TYPES):
                raise InputError(f"{name}: the column {options.text_column!r} has type {kind}, not string (--text-column)")
            row = 0
            types = parquet_types(schema, name, options.id_column, options.keep)
            present = list(dict.fromkeys(column for column in options.columns if column is not None))
            row_bytes = _max_mean_row_bytes(parquet.metadata, present)
            rows = max(1, min(PARQUET_BATCH_ROWS, PARQUET_BATCH_BYTES // row_bytes))
            for batch in parquet.iter_batches(batch_size=rows, columns=present):
                columns = [
                    [None] * len(batch) if column is None else batch.column(column).to_pylist()
                    for column in options.columns[:3]
                ]
                columns += [
                    kept_values(batch.column(column), kind, column, name, row)
                    for column, kind in zip(options.keep, types.kept, strict=True)
                ]
                for text, ident, document, *kept in zip(*columns, strict=True):
                    row += 1
                    yield RawRecord(f"{name}, row {row}", text, ident, document, kept=tuple(kept), types=types)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{name} cannot be read as Parquet: {str(error).rstrip('.')}") from None
    except UnicodeDecodeError:
        raise InputError(f"{name}: a string after row {row} is not UTF-8; rewrite the file with valid strings") from None


def _universal_lines(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Splits lines at single carriage returns, too, which end the lines of old text files."""
    number = 0
    for _, line in lines:
        if "\r" not in line or line.find("\r") == len(line) - 2:
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


def _parse_json(line: str, location: str) -> dict[str, object]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{location}, column {error.colno}: not valid JSON ({error.msg}); each line must be one JSON object"
        ) from None
    except ValueError as error:  # a number with too many digits
        raise InputError(f"{location}: {error}") from None
    except RecursionError:
        raise InputError(f"{location}: the JSON is nested too deeply") from None
    if not isinstance(row, dict):
        raise InputError(f"{location}: the line is {json_kind(row)}, not a JSON object: write one JSON object in each line")
    return row


def _check_repeated_fields(line: str, location: str, options: ReadOptions) -> None:
    """Check that the object has each named field once. Python takes the last one in silence."""
    fields: list[str] = []

    def keep_names(pairs: list[tuple[str, object]]) -> None:
        fields[:] = [name for name, _ in pairs]  # the outermost object is the last

    json.loads(line, object_pairs_hook=keep_names)
    for column in options.columns:
        if column is not None and fields.count(column) > 1:
            raise InputError(f"{location}: the object has {fields.count(column)} fields {column!r}; give it one")


def _check_columns(present: Collection[str], location: str, options: ReadOptions) -> None:
    """Check that each named column is present once.

    Raises:
        InputError: a column is missing or ambiguous; the message lists the present ones.
    """
    for flag, wanted in zip(options.flags, options.columns, strict=True):
        if wanted is None:
            continue
        count = list(present).count(wanted)
        if count > 1:
            raise InputError(f"{location}: {count} columns are named {wanted!r} ({flag}); the name must be unique")
        if count == 0:
            columns = ", ".join(map(repr, present)) or "none"
            raise InputError(f"{location}: no column {wanted!r}; the columns are: {columns}. Set the right one with {flag}")


def _max_mean_row_bytes(metadata: Any, columns: Collection[str]) -> int:
    """Mean bytes of the columns of a row, in the row group where this mean is highest."""
    longest = 1
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        chunks = map(group.column, range(group.num_columns))
        size = sum(chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema in columns)
        longest = max(longest, size // max(group.num_rows, 1))
    return longest
