"""The columns of the source that a run copies to the table: document, position and kept columns."""

import functools
import operator
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sql
from pyspark.sql.types import (
    BinaryType,
    BooleanType,
    ByteType,
    DataType,
    IntegralType,
    ShortType,
    StringType,
    StructType,
)
from undertone_client.jobs import InputError
from undertone_client.jobs.score_columns import DELETED_AT_COLUMN, score_columns

from undertone_batch.source.columns import require_field
from undertone_batch.source.ids import MAX_SHOWN_CHARACTERS, TEXT, TIME, WHOLE, id_conversion
from undertone_batch.source.integers import to_long

KEPT_TYPES = (*WHOLE, *TIME, BinaryType, BooleanType, StringType)
"""The types of kept columns. Iceberg lacks other types, or some engines cannot read them."""

_LEADING_ZEROS = r"^(-?)0+(?=[0-9])"


@dataclass(frozen=True, slots=True)
class KeptColumn:
    """A column of the source with the name and the type that it has in the table.

    Attributes:
        name: The name in the table.
        value: The value in the table.
        unconverted: Whether the source has a value that the table's type cannot represent; None if
            each value of the source's type has an equivalent.
        problem: What a row with an unconverted value has, for the message.
    """

    name: str
    value: Column
    unconverted: Column | None = None
    problem: str = ""


def document_column(schema: StructType, column: str, source: str) -> KeptColumn:
    """The name of the document, as a string. The types are those of ids, and so is the conversion.

    Raises:
        InputError: there is no such column, or it has another type.
    """
    found, data_type = require_field(schema, column, source, "--document-column")
    if not isinstance(data_type, WHOLE + TEXT + TIME):
        raise InputError(
            f"{source}: the column {column!r} has type {data_type.simpleString()}, but the name of a document is a string or an"
            " integer: set --document-column"
        )
    value = id_conversion(column, data_type, StringType()).convert(found)
    if isinstance(data_type, IntegralType) or not isinstance(data_type, WHOLE):
        return KeptColumn("document", valid_utf8(value))
    problem = (
        f"a number in the column {column!r} ({data_type.simpleString()}) that is not an exact integer: set --document-column"
    )
    return KeptColumn("document", value, found.isNotNull() & value.isNull(), problem)


def position_column(schema: StructType, column: str, source: str) -> KeptColumn:
    """The position in the document, as a bigint. Strings are decimal digits; an empty one is null.

    Raises:
        InputError: there is no such column, or it has another type.
    """
    found, data_type = require_field(schema, column, source, "--position-column")
    if not isinstance(data_type, WHOLE + TEXT):
        raise InputError(
            f"{source}: the column {column!r} has type {data_type.simpleString()}, but a position is an integer: set"
            " --position-column"
        )
    if isinstance(data_type, IntegralType):
        return KeptColumn("position", found.cast("bigint"))
    if isinstance(data_type, TEXT):
        digits = sql.regexp_replace(found.cast("string"), _LEADING_ZEROS, "$1")
        found = sql.when(digits != "", digits)  # CSV with quotes around all fields has no null
    value = to_long(found, data_type)
    problem = (
        f"a value in the column {column!r} ({data_type.simpleString()}) that is not an exact integer: set --position-column"
    )
    return KeptColumn("position", value, found.isNotNull() & value.isNull(), problem)


def further_columns(schema: StructType, columns: Sequence[str], source: str) -> list[KeptColumn]:
    """Columns with their type. The field of a struct has the name of the field.

    Raises:
        InputError: there is no such column, or it has a type that cannot be kept.
        OutputError: two columns have the same name, or one has the name of a table's own column.
    """
    kept = []
    for column in columns:
        found, data_type = require_field(schema, column, source, "--keep")
        if not isinstance(data_type, KEPT_TYPES):
            raise InputError(
                f"{source}: the column {column!r} has type {data_type.simpleString()}, but only strings, numbers, Booleans,"
                " dates, timestamps and bytes can be kept: name a field of it, or remove --keep"
            )
        kept.append(KeptColumn(column.rpartition(".")[2], _kept_value(found, data_type)))
    score_columns([], more=[DELETED_AT_COLUMN], kept=[pa.field(each.name, pa.null()) for each in kept])
    return kept


def _kept_value(value: Column, data_type: DataType) -> Column:
    if isinstance(data_type, StringType):
        return valid_utf8(value)
    # Iceberg has no smaller integers.
    return value.cast("int") if isinstance(data_type, ByteType | ShortType) else value


def valid_utf8(value: Column) -> Column:
    """A string with U+FFFD in place of invalid bytes, which make a table unreadable for Arrow."""
    return sql.encode(value, "UTF-8").cast("string")


def check_conversions(rows: DataFrame, ident: Column, kept: Sequence[KeptColumn], source: str) -> None:
    """Searches the rows of a source for a value that the table cannot represent.

    Reads the source if a column has a type with such values.

    Args:
        rows: The rows of the source that could be parsed.
        ident: The id of a row, for the message: the value may be the text of a paragraph.
        kept: The columns.
        source: The name of the source, for the message.

    Raises:
        InputError: there is such a value.
    """
    checked = [(each.unconverted, each.problem) for each in kept if each.unconverted is not None]
    if not checked:
        return
    conditions = [condition for condition, _ in checked]
    found = rows.where(functools.reduce(operator.or_, conditions)).select(ident.cast("string"), *conditions).first()
    if found is not None:
        shown = found[0] if found[0] is None else found[0][:MAX_SHOWN_CHARACTERS]
        problem = next(text for (_, text), fails in zip(checked, found[1:], strict=True) if fails)
        raise InputError(f"{source}: the row with the id {shown!r} has {problem}")
