"""The Iceberg schema of a table of scores: of a new table, and its changes by a run."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
from pyiceberg.io.pyarrow import _ConvertToIcebergWithoutIDs, schema_to_pyarrow, visit_pyarrow
from pyiceberg.schema import Schema
from pyiceberg.table.update.schema import UpdateSchema
from pyiceberg.types import DoubleType, FloatType, IcebergType, IntegerType, LongType, NestedField
from undertone_client.jobs import OutputError
from undertone_client.jobs.score_columns import (
    DELETED_AT_COLUMN,
    FLAGS_COLUMN,
    INPUT_COLUMNS,
    LABEL_COLUMN,
    LABELS_ABOVE_THRESHOLD_COLUMN,
    MODEL_COLUMNS,
    score_columns,
)

from undertone_cli.readers import arrow_type
from undertone_cli.run_folder import RunIdentity

if TYPE_CHECKING:
    from pyiceberg.table import Transaction

PROMOTIONS: dict[tuple[IcebergType, IcebergType], IcebergType] = {
    (IntegerType(), LongType()): LongType(),
    (FloatType(), DoubleType()): DoubleType(),
}
"""Types of a column and of a run's values that make another type of the column."""


def columns_of(identity: RunIdentity) -> list[pa.Field]:
    """The columns of the table that a run fills, in the order of a new table."""
    kept = zip(identity.options.keep, identity.types.kept, strict=True)
    fields = [pa.field(name, arrow_type(kind)) for name, kind in kept]
    return score_columns(
        identity.labels,
        multi_label=identity.multi_label,
        id_type=arrow_type(identity.types.id),
        more=[DELETED_AT_COLUMN],
        kept=fields,
    )


def iceberg_schema(columns: Sequence[pa.Field]) -> Schema:
    """The schema of a new table. All columns are optional, as Spark makes them."""
    return Schema(*(NestedField(number, field.name, iceberg_type(field)) for number, field in enumerate(columns, start=1)))


def iceberg_type(field: pa.Field) -> IcebergType:
    """The Iceberg type of a column."""
    found = visit_pyarrow(field.type, _ConvertToIcebergWithoutIDs())
    assert not isinstance(found, Schema)  # noqa: S101 - a column is not a table
    return found


def arrow_schema(schema: Schema) -> pa.Schema:
    """The Arrow schema of a table, without the numbers of the columns."""
    return schema_to_pyarrow(schema, include_field_ids=False)


def check_columns(schema: Schema, identity: RunIdentity, table: str) -> None:
    """Check that the rows of a run fit into a table.

    Raises:
        OutputError: the table is not one of scores, its ids or a column have another type, or a
            name differs only by case.
    """
    present = {field.name: field.field_type for field in schema.fields}
    by_lower = {name.lower(): name for name in present}
    for own in score_columns([], more=[DELETED_AT_COLUMN]):
        if own.name not in present and own.name != FLAGS_COLUMN.name:
            raise OutputError(f"{table} is not a table of scores: it has no column {own.name!r}. Set --table to another name")
    for column in columns_of(identity):
        wanted, found = iceberg_type(column), present.get(column.name)
        if found is None:
            if (other := by_lower.get(column.name.lower())) is not None:
                remedy = "rename the label in the model" if column.name in identity.labels else "rename it in the input"
                raise OutputError(
                    f"the column {column.name!r} differs from {other!r} of {table} only by case, which SQL engines ignore: "
                    f"{remedy}, or publish to another table"
                )
        elif str(wanted) != str(found) and (found, wanted) not in PROMOTIONS and (wanted, found) not in PROMOTIONS:
            if column.name == "id":
                raise OutputError(
                    f"the ids of the run have type {wanted}, but those of {table} have type {found}, which is fixed when a "
                    "table is created: convert the ids of the input, or publish to another table"
                )
            raise OutputError(
                f"the column {column.name!r} has type {wanted} in the run, but {found} in {table}: convert it in the input, or "
                "publish to another table"
            )


def evolve(transaction: "Transaction", identity: RunIdentity) -> None:
    """Add the columns that a table lacks: at the places of a new table, kept columns at the end.

    Args:
        transaction: a transaction on the table, for which `check_columns` has passed.
        identity: the run.
    """
    schema = transaction.table_metadata.schema()
    present = {field.name: field.field_type for field in schema.fields}
    missing = [column for column in columns_of(identity) if column.name not in present]
    wider = {
        column.name: promoted
        for column in columns_of(identity)
        if (promoted := PROMOTIONS.get((present.get(column.name), iceberg_type(column)))) is not None  # type: ignore[arg-type]
    }
    if not missing and not wider:
        return
    with transaction.update_schema() as update:
        for column in missing:
            _add(update, column, _next_column(column, identity))
        for name, promoted in wider.items():
            update.update_column(name, field_type=promoted)


def _next_column(column: pa.Field, identity: RunIdentity) -> str | None:
    """The column of a table before which a new column belongs; None for the end."""
    if column.name in identity.labels:
        return str(INPUT_COLUMNS[0].name)
    if column.name == FLAGS_COLUMN.name:
        return str(MODEL_COLUMNS[0].name)
    return str(LABEL_COLUMN.name) if column.name == LABELS_ABOVE_THRESHOLD_COLUMN.name else None


def _add(update: UpdateSchema, column: pa.Field, before: str | None) -> None:
    path = (column.name,)  # a string would be a path of structs if it contained a dot
    update.add_column(path, iceberg_type(column))
    if before is not None:
        update.move_before(path, before)
