"""Integers in columns of other types: pandas writes integers as floating-point numbers."""

from pyspark.sql import Column
from pyspark.sql import functions as sql
from pyspark.sql.types import (
    BinaryType,
    DataType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegralType,
    StringType,
)

EXACT_INTEGERS: dict[type[DataType], int] = {DoubleType: 2**53, FloatType: 2**24}
"""The largest integer up to which a floating-point type has all integers."""

_WHOLE_NUMBER = r"^(0|-?[1-9][0-9]{0,18})$"


def to_long(value: Column, source: DataType) -> Column:
    """A whole number as a bigint. Null if the value is null, no whole number, or too large.

    Args:
        value: The value. Strings are decimal digits without leading zeros.
        source: The type of the value: numbers, strings or bytes.
    """
    if isinstance(source, IntegralType):
        return value.cast("bigint")
    if isinstance(source, StringType | BinaryType):
        text = value.cast("string")
        return _in_range(sql.when(text.rlike(_WHOLE_NUMBER), text))
    return _in_range(sql.when(is_exact(value, source), value))


def is_exact(value: Column, source: DataType) -> Column:
    """Whether a fractional number is a whole number that its type represents exactly."""
    if isinstance(source, DecimalType):
        return value == sql.floor(value)
    limit = EXACT_INTEGERS[type(source)]
    return ~sql.isnan(value) & (sql.abs(value) <= limit) & (value == sql.floor(value))


def _in_range(number: Column) -> Column:
    """A whole number as a bigint; null if it is too large."""
    wide = number.cast(DecimalType(38, 0))
    return sql.when(wide.between(-(2**63), 2**63 - 1), wide).cast("bigint")
