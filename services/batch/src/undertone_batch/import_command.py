"""The command `undertone-batch import`."""

import uuid

import click
from pyspark.sql import SparkSession
from pyspark.sql.types import StringType
from undertone_client.jobs import OutputError, explain_errors
from undertone_client.jobs.catalog import CATALOG, TableName, TableOptions, table_options
from undertone_client.jobs.table_properties import BACKFILL_PROPERTY, NEW_TABLE

from undertone_batch.catalog_session import catalog_session
from undertone_batch.errors import explain_spark_errors
from undertone_batch.layout import Layout, PartitionBy
from undertone_batch.old_table import OldTable
from undertone_batch.table import table_schema

IMPORT_PROPERTY = "undertone.imported-from"
"""Table property: the folder and the version of the imported table."""


@click.command(
    "import",
    epilog="""\b
Example:
  undertone-batch import s3://lake/scores --table emotions.stories --catalog-type glue --warehouse s3://lake/

\b
Exit codes:
  0    the table has the rows of the folder
  1    the import failed; nothing was created
  2    the options or the folder are invalid, or the table exists""",
)
@click.argument("folder")
@table_options("New table of scores.", required=True)
@click.option(
    "--partition-by",
    type=click.Choice([each.value for each in PartitionBy]),
    default=PartitionBy.ID.value,
    show_default=True,
    help="Partitions of the new table. id: buckets of ids. day: days of scored_at.",
)
@explain_errors
def import_table(folder: str, table: TableOptions, partition_by: str) -> None:
    """Copy a table of an earlier release into a new Iceberg table.

    FOLDER has the folders versions/ and data/. It does not change. Its dead letters are not copied:
    the next run tries their paragraphs again. A stopped import creates nothing; start it again.
    """
    with catalog_session(f"import {uuid.uuid4().hex[:12]}", table.catalog) as spark:
        old = OldTable.open(spark, folder)
        click.echo(copy(spark, old, table.name, Layout(partition_by=PartitionBy(partition_by), bucket_count=old.bucket_count)))


def copy(spark: SparkSession, old: OldTable, name: TableName, layout: Layout) -> str:
    """Creates the Iceberg table with all rows, in one atomic step. Returns a message for the user.

    Raises:
        InputError: the old table is damaged.
        OutputError: a table of this name exists.
        JobError: Spark failed.
    """
    path, origin = f"{CATALOG}.{name}", f"{old.path} version {old.number}"
    if spark.catalog.tableExists(path):
        properties = {row.key: row.value for row in spark.sql(f"SHOW TBLPROPERTIES {path}").collect()}
        if properties.get(IMPORT_PROPERTY) == origin:
            return f"{name} has the rows of {origin} already"
        raise OutputError(f"the table {name} exists already: set --table to the name of a new table")
    properties = {**NEW_TABLE, IMPORT_PROPERTY: origin}
    if old.backfill_began_at is not None:
        properties[BACKFILL_PROPERTY] = old.backfill_began_at.isoformat()
    rows = old.read(spark, table_schema(old.labels, StringType()))
    rows.createOrReplaceTempView("undertone_old_rows")
    values = ", ".join(f"{_text(key)} = {_text(value)}" for key, value in properties.items())
    with explain_spark_errors():
        spark.sql(f"CREATE NAMESPACE IF NOT EXISTS {CATALOG}.{name.namespace}")
        spark.sql(
            f"CREATE TABLE {path} USING iceberg PARTITIONED BY ({layout.partition}) TBLPROPERTIES ({values})"
            " AS TABLE undertone_old_rows"
        )
        written = spark.table(path).count()
    if written != old.rows:
        raise OutputError(f"{name} has {written:,} rows instead of {old.rows:,}: delete the table, and import again")
    return f"{name} has the {written:,} rows of {origin}"


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
