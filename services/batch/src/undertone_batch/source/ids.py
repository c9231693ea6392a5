"""The type of the ids, which is fixed when the table is created.

A table has ids of type bigint if the first source had whole numbers, and strings otherwise. Later
sources may have another type whose values convert without loss: an integer column becomes one of
floating-point numbers as soon as pandas finds one missing value in it.
"""

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sql
from pyspark.sql.types import (
    BinaryType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegralType,
    LongType,
    StringType,
    TimestampNTZType,
    TimestampType,
)
from undertone_client.jobs import InputError

from undertone_batch.source.integers import EXACT_INTEGERS, is_exact, to_long

WHOLE = (IntegralType, DoubleType, FloatType, DecimalType)
TEXT = (StringType, BinaryType)
TIME = (DateType, TimestampType, TimestampNTZType)
"""The types of ids. Numbers must be whole, bytes must be UTF-8."""

MAX_LONG_DIGITS = 18
"""Each integer with so many digits is a bigint."""

MAX_SHOWN_CHARACTERS = 64
"""The number of characters that a message shows of an id."""

_REMEDY = "write the ids as integers (in pandas: astype('Int64')) or as strings"


@dataclass(frozen=True, slots=True)
class IdConversion:
    """The conversion of a source's ids to those of the table.

    Attributes:
        column: The name of the source's column.
        source: The type of the source's column.
        table: The type of the table's ids: LongType or StringType.
    """

    column: str
    source: DataType
    table: DataType

    def convert(self, ident: Column) -> Column:
        """The id as the table has it. Null if it is null, or has no equivalent in the table."""
        if self.source == self.table or isinstance(self.source, IntegralType):
            return ident.cast(self.table)
        if isinstance(self.table, LongType):
            return to_long(ident, self.source)
        if isinstance(self.source, DoubleType | FloatType):
            return to_long(ident, self.source).cast("string")
        if isinstance(self.source, DecimalType):
            return sql.when(is_exact(ident, self.source), ident).cast(DecimalType(38, 0)).cast("string")
        return ident.cast("string")

    def problem(self, ident: Column) -> Column:
        """Why an id that is not null has no equivalent in the table; null for all others."""
        shown = sql.substring(ident.cast("string"), 1, MAX_SHOWN_CHARACTERS)
        reason = sql.concat(sql.lit("the id '"), shown, sql.lit("' is not an integer (bigint), but those of the table are"))
        return sql.when(ident.isNotNull() & self.convert(ident).isNull(), reason)

    def check(self, rows: DataFrame, ident: str) -> None:
        """Searches a column of fractional type for a number that is not an exact integer.

        Args:
            rows: The rows of the source.
            ident: The name of the column with the ids.

        Raises:
            InputError: there is such a number.
        """
        if not isinstance(self.source, DoubleType | FloatType | DecimalType):
            return
        column = sql.col(ident)
        found = rows.where(column.isNotNull() & self.convert(column).isNull()).select(column.cast("string")).first()
        if found is not None:
            limit = EXACT_INTEGERS.get(type(self.source))
            bound = f"up to {limit:,}, above which the type cannot tell neighbouring integers apart" if limit else "of a bigint"
            raise InputError(
                f"the column {self.column!r} has type {self.source.simpleString()} and the id {found[0]}, but an id is a string"
                f" or a whole number {bound}: {_REMEDY}"
            )


def id_conversion(column: str, source: DataType, table: DataType | None) -> IdConversion:
    """The conversion of a source's ids to those of the table.

    Args:
        column: The name of the source's column.
        source: The type of the source's column.
        table: The type of the table's ids; None for a new table.

    Raises:
        InputError: values of this type cannot be ids, or cannot be converted to the table's type.
    """
    whole = isinstance(source, WHOLE)
    if not isinstance(source, WHOLE + TEXT + TIME):
        raise InputError(
            f"the column {column!r} has type {source.simpleString()}, but an id is a string or an integer: set --id-column"
        )
    if table is None:
        table = LongType() if whole and not _exceeds_long(source) else StringType()
    if isinstance(table, LongType) and not isinstance(source, WHOLE + TEXT):
        raise InputError(
            f"the column {column!r} has type {source.simpleString()}, but the ids of the table are integers (bigint), and their"
            f" type cannot change: {_REMEDY}, or use a new table"
        )
    return IdConversion(column, source, table)


def _exceeds_long(source: DataType) -> bool:
    return isinstance(source, DecimalType) and source.precision - source.scale > MAX_LONG_DIGITS
