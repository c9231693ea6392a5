"""JSON Lines: an object on each line."""

import json
from collections.abc import Iterator
from typing import BinaryIO

from undertone_client.jobs import InputError

from undertone_cli.sources.columns import check_columns
from undertone_cli.sources.item import Record
from undertone_cli.sources.lines import numbered_lines
from undertone_cli.sources.options import SourceOptions


def read_jsonl(stream: BinaryIO, name: str, options: SourceOptions) -> Iterator[Record]:
    """A record for each line that is not blank. The first must have the columns; where a later one lacks one, it is null.

    Raises:
        InputError: a line is no JSON object, or the first lacks a column.
    """
    checked = False
    for number, line in numbered_lines(stream, name):
        if not line.strip():
            continue
        place = f"{name}, line {number}"
        row = _parse(line, place)
        if not checked:
            check_columns(row.keys(), place, options)
            checked = True
        yield Record(
            place,
            row.get(options.text_column),
            row.get(options.id_column) if options.id_column else None,
            row.get(options.document_column) if options.document_column else None,
        )


def _parse(line: str, place: str) -> dict[str, object]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(f"{place}, column {error.colno}: not JSON ({error.msg}); each line must be one JSON object") from None
    except ValueError as error:  # a number with too many digits
        raise InputError(f"{place}: {error}") from None
    except RecursionError:
        raise InputError(f"{place}: nested too deep to be read") from None
    if not isinstance(row, dict):
        raise InputError(f"{place}: a JSON {type(row).__name__}; each line must be one JSON object")
    return row
