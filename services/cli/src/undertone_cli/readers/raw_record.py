"""A record of an input, before it is checked."""

from dataclasses import dataclass, field
from typing import Any

from undertone_cli.readers.column_types import RowTypes


@dataclass(frozen=True, slots=True)
class RawRecord:
    """A record of an input, with the unchecked values of its columns.

    `location` is the place in the input, for error messages. `has_columns` is False for a
    paragraph of plain text, which has neither id nor document. `kept` has the values of the columns
    to keep. `types` has the types of the file's columns; None for JSON, whose values have types.
    `missing` is the name of the field of the text, if the record has no such field.
    """

    location: str
    text: object = field(repr=False)
    id: object = None
    document: object = None
    has_columns: bool = True
    kept: tuple[Any, ...] = field(default=(), repr=False)
    types: RowTypes | None = None
    missing: str | None = None


def json_kind(value: object) -> str:
    """What a value of JSON or Parquet is, with its article, such as `a number`."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "an array"
        case dict():
            return "an object"
    return f"of type {type(value).__name__}"
