"""Types of the columns that a row of the output takes from the input: the id and kept columns."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa
from undertone_client.jobs import InputError

STRING, LONG, DOUBLE, BOOLEAN = "string", "long", "double", "boolean"
UNKNOWN = "unknown"
"""The type of a Parquet column that contains nulls only."""

_ARROW_TYPES = {
    UNKNOWN: pa.null(),
    STRING: pa.string(),
    BOOLEAN: pa.bool_(),
    "int": pa.int32(),
    LONG: pa.int64(),
    "float": pa.float32(),
    DOUBLE: pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", tz="UTC"),
    "binary": pa.binary(),
}
"""Types of kept columns by Iceberg's name. Iceberg's other types are unknown to some engines."""

MAX_EXACT_INTEGER = 2**53
"""Larger integers may have no exact value of type double."""
_INT64 = range(-(2**63), 2**63)
_MAX_DECIMAL_DIGITS = 38


@dataclass(frozen=True, slots=True)
class RowTypes:
    """Types of the columns from the input, by Iceberg's names.

    Attributes:
        id: `long` or `string`.
        kept: types of the kept columns, in their order.
    """

    id: str = STRING
    kept: tuple[str, ...] = ()


def arrow_type(name: str) -> pa.DataType:
    """The Arrow type of a column. Raises ValueError for an unknown name."""
    if name.startswith("decimal("):
        precision, scale = map(int, name.removeprefix("decimal(").removesuffix(")").split(","))
        return pa.decimal128(precision, scale)
    if name not in _ARROW_TYPES:
        raise ValueError(f"unknown column type {name!r}")
    return _ARROW_TYPES[name]


def type_name(kind: pa.DataType) -> str | None:
    """Iceberg's name of the type that keeps all values of an Arrow type. None if there is none.

    Smaller and unsigned integers become larger ones, and fractions of seconds microseconds.
    """
    types = pa.types
    if types.is_dictionary(kind):
        return type_name(kind.value_type)
    if isinstance(kind, pa.UuidType):
        return STRING
    if isinstance(kind, pa.BaseExtensionType):
        return type_name(kind.storage_type)
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return STRING
    if types.is_integer(kind):
        return "int" if kind.bit_width < 32 or kind == pa.int32() else LONG
    if types.is_decimal(kind) and kind.precision <= _MAX_DECIMAL_DIGITS and 0 <= kind.scale <= kind.precision:
        return f"decimal({kind.precision},{kind.scale})"
    if types.is_timestamp(kind):
        return "timestamp" if kind.tz is None else "timestamptz"
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind) or types.is_fixed_size_binary(kind):
        return "binary"
    simple = {
        UNKNOWN: types.is_null,
        BOOLEAN: types.is_boolean,
        "float": lambda kind: types.is_float16(kind) or types.is_float32(kind),
        DOUBLE: types.is_float64,
        "date": types.is_date,
    }
    return next((name for name, accepts in simple.items() if accepts(kind)), None)


def id_type_name(kind: pa.DataType) -> str:
    """The type of ids from a column of a Parquet file. `long` if its values may be integers."""
    if pa.types.is_dictionary(kind):
        return id_type_name(kind.value_type)
    numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    return LONG if numeric else STRING


def json_type(value: object, column: str, location: str) -> str | None:
    """The type of a JSON value of a kept column; None for null.

    Raises:
        InputError: the value is an object or a list, or no column can hold it.
    """
    match value:
        case None:
            return None
        case bool():
            return BOOLEAN
        case int():
            if value not in _INT64:
                raise InputError(f"{location}: {column!r} is an integer of more than 64 bits; write it as a string")
            return LONG
        case float():
            return DOUBLE
        case str():
            check_unicode(value, column, location)
            return STRING
    kind = "an object" if isinstance(value, dict) else "a list"
    raise InputError(f"{location}: {column!r} is {kind}, which cannot be kept; keep columns of strings, numbers and booleans")


def check_unicode(value: str, column: str, location: str) -> None:
    """Check that a string can be written as UTF-8. Raises InputError."""
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise InputError(f"{location}: {column!r} contains a lone surrogate, which is not a valid character")


def checked_id(value: object, location: str) -> str | int | None:
    """An id as a string or an integer; None if there is none.

    A number with an integral value is an integer: pandas writes a column of integers as floats
    if a value is missing. A UUID is a string, because Polars and Spark have no such type.

    Raises:
        InputError: the value cannot be an id.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return _integer(value, location)
    raise InputError(f"{location}: the id is of type {type(value).__name__}; it must be a string or an integer")


def _integer(value: float | Decimal, location: str) -> int:
    if isinstance(value, float) and not (value.is_integer() and abs(value) < MAX_EXACT_INTEGER):
        raise InputError(f"{location}: the id {value!r} is not an integer; write ids as strings or integers")
    if isinstance(value, Decimal) and (not value.is_finite() or value != value.to_integral_value()):
        raise InputError(f"{location}: the id {value} is not an integer; write ids as strings or integers")
    if int(value) not in _INT64:
        raise InputError(f"{location}: the id {value} is an integer of more than 64 bits; write ids as strings")
    return int(value)


def conform(value: Any, name: str, column: str, location: str) -> Any:
    """A JSON value of a kept column whose type is already known.

    Raises:
        InputError: the value has another type.
    """
    found = json_type(value, column, location)
    if found is None or found == name:
        return value
    if (found, name) == (LONG, DOUBLE) and abs(value) <= MAX_EXACT_INTEGER:
        return float(value)
    raise InputError(
        f"{location}: {column!r} has type {found}, but the first row of the input has {name}; a column has one type. The first "
        "row determines the types of a pipe: write its values with their type, or score a file"
    )
