"""Finds the types of the id and the kept columns of all inputs."""

from collections.abc import Iterable

from undertone_client.jobs import InputError

from undertone_cli.readers.column_types import (
    DOUBLE,
    LONG,
    MAX_EXACT_INTEGER,
    STRING,
    UNKNOWN,
    RowTypes,
    checked_id,
    json_type,
)
from undertone_cli.readers.raw_record import RawRecord

_WIDER = {frozenset({"int", LONG}): LONG, frozenset({"float", DOUBLE}): DOUBLE}


class TypeInference:
    """Finds the types of the id and the kept columns over all records.

    Records of Parquet and CSV declare their types. JSON values have types of their own, which
    must agree: a string and a number in one column are an error.

    Args:
        keep: names of the kept columns.
    """

    def __init__(self, keep: Iterable[str]) -> None:
        self._columns = ("id", *keep)
        self._types: list[str | None] = [None] * len(self._columns)
        self._first: list[str] = [""] * len(self._columns)
        self._inexact: list[str | None] = [None] * len(self._columns)
        self._declared: object = None

    @property
    def types(self) -> RowTypes:
        """The types so far. A column without values has strings."""
        ident, *kept = (name or STRING for name in self._types)
        return RowTypes(ident, tuple(kept))

    def add(self, record: RawRecord) -> None:
        """Add a record.

        Raises:
            InputError: a value has another type than the values before, or none that can be kept.
        """
        if record.types is not None:
            if record.types is not self._declared:
                self._declared = record.types
                for index, declared in enumerate((record.types.id, *record.types.kept)):
                    if declared != UNKNOWN:
                        self._merge(index, declared, record.location)
            return
        ident = checked_id(record.id, record.location)
        if ident is not None:
            self._merge(0, STRING if isinstance(ident, str) else LONG, record.location)
        for index, value in enumerate(record.kept, start=1):
            column = self._columns[index]
            name = json_type(value, column, record.location)
            if name is None:
                continue
            if name == LONG and abs(value) > MAX_EXACT_INTEGER:
                self._inexact[index] = self._inexact[index] or record.location
            if name != self._types[index]:
                self._merge(index, name, record.location, json=True)
            if self._types[index] == DOUBLE and (where := self._inexact[index]) is not None:
                raise InputError(
                    f"{where}: {column!r} has an integer above 2^53, which would be rounded, because other values have "
                    "fractions; write the values as strings"
                )

    def _merge(self, index: int, name: str, location: str, *, json: bool = False) -> None:
        before = self._types[index]
        if before is None:
            self._types[index], self._first[index] = name, location
            return
        if before == name:
            return
        both = frozenset({before, name})
        wider = DOUBLE if json and both == {LONG, DOUBLE} else _WIDER.get(both)
        if wider is None:
            raise InputError(
                f"{location}: {self._columns[index]!r} has type {name}, but {before} in {self._first[index]}; a column has one "
                "type: convert the values, for example to strings, or score the inputs separately"
            )
        self._types[index] = wider
