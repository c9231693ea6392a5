"""The columns of a source by their names."""

from collections.abc import Sequence

from pyspark.sql import Column
from pyspark.sql import functions as sql
from pyspark.sql.types import DataType, StructField, StructType
from undertone_client.jobs import InputError


def quoted(*parts: str) -> str:
    """The name of a column, or the path of a nested field, in the notation of Spark SQL."""
    return ".".join(f"`{part.replace('`', '``')}`" for part in parts)


def find_field(schema: StructType, name: str) -> tuple[Column, DataType] | None:
    """Finds a column by its name, or a nested field by its dotted path.

    A column with exactly this name comes first, also if the name contains dots. The next choice is
    the only column whose name differs in case. The last choice is the field of a struct: `a.b` is
    the field `b` of the column `a`.

    Returns:
        The column and its type; None if there is no such column.
    """
    path = find_path(schema, name)
    if path is None:
        return None
    return sql.col(quoted(*(field.name for field in path))), path[-1].dataType


def find_path(schema: StructType, name: str) -> tuple[StructField, ...] | None:
    """The fields from a column to the field that a name means, as in `find_field`."""
    same = [field for field in schema.fields if field.name == name]
    same_in_lower_case = [field for field in schema.fields if field.name.lower() == name.lower()]
    for fields in (same, same_in_lower_case):
        if len(fields) == 1:
            return (fields[0],)
    parts = name.split(".")
    for count in range(len(parts) - 1, 0, -1):
        parent = find_path(schema, ".".join(parts[:count])) if count < len(parts) else None
        if parent is not None and isinstance(parent[-1].dataType, StructType):
            child = find_path(parent[-1].dataType, ".".join(parts[count:]))
            if child is not None:
                return (*parent, *child)
    return None


def require_field(schema: StructType, name: str, source: str, flag: str) -> tuple[Column, DataType]:
    """As `find_field`.

    Args:
        schema: The columns of the source.
        name: The name of the column.
        source: The name of the source in the error message.
        flag: The option that sets the name.

    Raises:
        InputError: there is no such column, or several differ only in case.
    """
    found = find_field(schema, name)
    if found is None:
        raise InputError(f"{source} has no column {name!r} (its columns: {list_names(schema.names)}): set {flag}")
    return found


def list_names(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names)) or "none"
