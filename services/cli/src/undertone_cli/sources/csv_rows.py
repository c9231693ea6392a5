"""Comma-separated values with a header, as RFC 4180 has them; quoted fields may hold line ends."""

import csv
from collections.abc import Iterator
from typing import BinaryIO

from undertone_client.jobs import InputError

from undertone_cli.sources.columns import check_columns
from undertone_cli.sources.item import Record
from undertone_cli.sources.lines import numbered_lines
from undertone_cli.sources.options import SourceOptions

LONGEST_FIELD = 64 * 1024 * 1024
"""Characters. Beyond it a quote was left open, and the rest of the file would be read as one field."""


def read_csv(stream: BinaryIO, name: str, options: SourceOptions) -> Iterator[Record]:
    """A record for each row; in a row that is too short, the missing fields are null.

    Raises:
        InputError: no header, a missing column, or a row that cannot be parsed.
    """
    csv.field_size_limit(LONGEST_FIELD)
    rows = csv.reader((line for _, line in numbered_lines(stream, name)), strict=True)
    after = 0
    try:
        header = next(rows, None)
        if header is None:
            raise InputError(f"{name} is empty; a CSV file begins with a line of column names")
        check_columns(header, name, options)
        text, ident, document = (
            None if column is None else header.index(column)
            for column in (options.text_column, options.id_column, options.document_column)
        )
        after = rows.line_num
        for row in rows:
            place, after = f"{name}, line {after + 1}", rows.line_num
            if row:
                yield Record(place, _field(row, text), _field(row, ident), _field(row, document))
    except csv.Error as error:
        # A quote that is left open is noticed far below the row that it is in.
        row_begins = f"; the row begins in line {after + 1}: is a quote left open there?" if rows.line_num > after + 1 else ""
        raise InputError(f"{name}, line {rows.line_num}: not CSV ({error}){row_begins}") from None


def _field(row: list[str], index: int | None) -> str | None:
    return row[index] if index is not None and index < len(row) else None
