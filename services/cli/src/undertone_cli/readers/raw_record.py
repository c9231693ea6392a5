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
    """

    location: str
    text: object = field(repr=False)
    id: object = None
    document: object = None
    has_columns: bool = True
    kept: tuple[Any, ...] = field(default=(), repr=False)
    types: RowTypes | None = None
