"""The Iceberg table of paragraphs without a score."""

from datetime import datetime

import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchTableError, TableAlreadyExistsError
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.table import Table
from pyiceberg.transforms import DayTransform
from undertone_client.jobs import OutputError, table_properties
from undertone_client.jobs.catalog import TableName
from undertone_client.jobs.score_columns import DEAD_LETTER_COLUMNS, ID_COLUMN

from undertone_cli.publish.schema import arrow_schema, iceberg_schema, iceberg_type
from undertone_cli.readers import arrow_type
from undertone_cli.run_folder import Manifest, RunFolder, read_failures

_COMPARED = ("id", "text_sha256", "status", "reason", "attempts")


def write_dead_letters(catalog: Catalog, name: TableName, folder: RunFolder, manifest: Manifest, run_id: str) -> int | None:
    """Replace the dead letters of a run. The first dead letter creates the table.

    Returns:
        Number of dead letters, or None if the table has them already.

    Raises:
        OutputError: the ids of the table have another type, or _failures.jsonl is damaged.
    """
    identifier = (name.dead_letters.namespace, name.dead_letters.name)
    id_type = arrow_type(manifest.identity.types.id)
    schema = pa.schema([ID_COLUMN.with_type(id_type), *DEAD_LETTER_COLUMNS])
    letters = _letters(folder, run_id, manifest.finished_at or manifest.started_at, schema)
    try:
        table = catalog.load_table(identifier)
    except NoSuchTableError:
        if not letters.num_rows:
            return None
        table = _create(catalog, identifier, schema)
    columns = arrow_schema(table.schema())
    found, wanted = table.schema().find_type("id"), iceberg_type(schema.field("id"))
    if found != wanted:
        raise OutputError(
            f"the ids of the run have type {wanted}, but those of {name.dead_letters} have type {found}: "
            "publish to another table"
        )
    of_run = f"run_id = '{run_id}'"
    present = table.scan(row_filter=of_run).to_arrow().cast(columns)
    letters = letters.cast(columns)
    if _sorted(present) == _sorted(letters):
        return None
    with table.transaction() as transaction:
        if present.num_rows:
            transaction.delete(of_run)
        if letters.num_rows:
            transaction.append(letters)
    return int(letters.num_rows)


def _create(catalog: Catalog, identifier: tuple[str, str], schema: pa.Schema) -> Table:
    catalog.create_namespace_if_not_exists(identifier[0])
    partition = PartitionField(
        source_id=len(schema), field_id=1000, transform=DayTransform(), name=f"{DEAD_LETTER_COLUMNS[-1].name}_day"
    )
    properties = {table_properties.FORMAT_PROPERTY: table_properties.FORMAT, "format-version": "2"}
    try:
        return catalog.create_table(
            identifier, iceberg_schema(list(schema)), partition_spec=PartitionSpec(partition), properties=properties
        )
    except TableAlreadyExistsError:  # another writer has created it
        return catalog.load_table(identifier)


def _letters(folder: RunFolder, run_id: str, failed_at: datetime, schema: pa.Schema) -> pa.Table:
    rows = [
        {
            "id": each.id,
            "text_sha256": each.text_sha256 or None,
            "status": each.status,
            "reason": each.reason,
            "attempts": each.attempts,
            "run_id": run_id,
            "failed_at": failed_at,
        }
        for each in read_failures(folder)
    ]
    return pa.Table.from_pylist(rows, schema=schema)


def _sorted(letters: pa.Table) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = letters.select(_COMPARED).sort_by("id").to_pylist()
    return rows
