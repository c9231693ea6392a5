"""Rows of a CSV file that an open quote made a part of a text."""

import csv
from collections.abc import Sequence

MIN_ID_CHARACTERS = 5
"""Minimum length of ids that are compared by their form. A paragraph may have a line "1990, it"."""


def swallowed_row(row: Sequence[str], columns: int, id_index: int, delimiter: str = ",") -> str | None:
    """The id of a row that is a part of a quoted field, because the quote before it is not closed.

    The rule is narrow, because a paragraph may have line breaks and commas: the second line of the
    field is by itself a row with all fields, and its id continues the ids of the file. None if no
    field has such a line.

    Args:
        row: the fields of the row.
        columns: number of columns in the header.
        id_index: index of the column with the id.
        delimiter: the character between the fields.
    """
    for index, value in enumerate(row):
        if index == id_index or "\n" not in value:
            continue
        lines = value.splitlines()
        try:
            fields = next(csv.reader(lines[1:2], delimiter=delimiter), [])
        except csv.Error:
            continue
        # The closing quote may be in the same line. The fields after it are then not in the value.
        expected = columns if len(lines) > 2 else index + 1
        if columns > 1 and id_index < len(fields) == expected and _continues(row[id_index], fields[id_index]):
            return fields[id_index]
    return None


def _continues(ident: str, following: str) -> bool:
    """Whether the second id is the next number after the first one, or a long id of its form."""
    if ident.isdecimal() and following.isdecimal() and int(following) == int(ident) + 1:
        return True
    return (
        len(ident) >= MIN_ID_CHARACTERS
        and ident != following
        and any(character.isdecimal() for character in ident)
        and _form(ident) == _form(following)
    )


def _form(ident: str) -> str:
    """The id with one letter for all letters and one digit for all digits."""
    return "".join("0" if each.isdecimal() else "a" if each.isalpha() else each for each in ident)
