"""Values of the columns of a Parquet file that the output keeps."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from undertone_client.jobs import InputError

from undertone_cli.readers.column_types import STRING, RowTypes, arrow_type, id_type_name, type_name


def parquet_types(schema: pa.Schema, name: str, id_column: str | None, keep: Sequence[str]) -> RowTypes:
    """The types of the ids and the kept columns of a file.

    Raises:
        InputError: a column has a type that cannot be kept.
    """
    kept = []
    for column in keep:
        kind = schema.field(column).type
        if (found := type_name(kind)) is None:
            raise InputError(
                f"{name}: the column {column!r} has type {kind}, which cannot be kept; keep columns of plain values, and "
                "write others as strings (--keep)"
            )
        kept.append(found)
    return RowTypes(STRING if id_column is None else id_type_name(schema.field(id_column).type), tuple(kept))


def kept_values(column: pa.Array, kind: str, column_name: str, name: str, rows_before: int) -> list[Any]:
    """The values of a column of a batch.

    Args:
        column: the column.
        kind: the type of the output, from `parquet_types`.
        column_name: the name of the column, for messages.
        name: the name of the file, for messages.
        rows_before: number of rows before the batch.

    Raises:
        InputError: a value does not fit the type, such as a time with nanoseconds.
    """
    try:
        return _converted(column, kind)
    except UnicodeDecodeError:
        reason = "is not UTF-8"
    except (pa.ArrowException, ValueError, OverflowError) as error:
        reason = str(error).partition(":")[0] or type(error).__name__
    row = next((index for index in range(len(column)) if not _fits(column.slice(index, 1), kind)), 0)
    raise InputError(
        f"{name}, row {rows_before + row + 1}: {column_name!r} does not fit the type {kind} ({reason}); write the column as "
        "strings, or do not keep it"
    )


def _fits(column: pa.Array, kind: str) -> bool:
    try:
        _converted(column, kind)
    except (pa.ArrowException, ValueError, OverflowError):
        return False
    return True


def _converted(column: pa.Array, kind: str) -> list[Any]:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if isinstance(column.type, pa.UuidType):
        return [None if value is None else str(value) for value in column.to_pylist()]
    if isinstance(column.type, pa.BaseExtensionType):
        column = column.storage
    values: list[Any] = column.cast(arrow_type(kind), safe=True).to_pylist()
    return values
