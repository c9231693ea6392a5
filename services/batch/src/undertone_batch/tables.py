"""The table of scores in its format: for a run, and for readers."""

from datetime import datetime

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sql
from undertone_client import SettingsError
from undertone_client.jobs import OutputError
from undertone_client.jobs.catalog import CATALOG, CatalogSettings, TableName

from undertone_batch.iceberg_catalog import configure_catalog
from undertone_batch.iceberg_sql import version_of
from undertone_batch.iceberg_table import IcebergTable
from undertone_batch.layout import Layout, TableFormat
from undertone_batch.parquet_table import ParquetTable, read_parquet_scores
from undertone_batch.table import ScoreTable


def open_table(spark: SparkSession, name: TableName, catalog: CatalogSettings, layout: Layout) -> ScoreTable:
    """The table for a run.

    Raises:
        SettingsError: the session cannot use the catalogue.
    """
    if layout.format is TableFormat.PARQUET:
        return ParquetTable(spark, name, catalog, layout.bucket_count)
    if catalog.type == "sqlite":
        try:
            catalog.local_warehouse.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"the warehouse {catalog.warehouse} cannot be created: {error.strerror or error}: set --warehouse"
            ) from None
    configure_catalog(spark, catalog)
    return IcebergTable(spark, name, layout)


def read_scores(
    spark: SparkSession,
    table: TableName | str,
    catalog: CatalogSettings,
    *,
    deleted: bool = False,
    as_of: datetime | int | None = None,
    table_format: TableFormat = TableFormat.ICEBERG,
) -> DataFrame:
    """The rows of a table of scores. Later runs do not change the frame.

    Args:
        spark: The session; also one of Spark Connect.
        table: The table, such as emotions.stories.
        catalog: The catalogue of the table.
        deleted: Include rows whose paragraph is not in the source any more. Their `deleted_at` is
            not null.
        as_of: A time, or the id of a snapshot: the rows as they were then. By default the current
            rows. Only for Iceberg.
        table_format: The format of the table.

    Raises:
        OutputError: the table does not exist, or had no snapshot at that time.
        SettingsError: `as_of` is set for a table of Parquet.
    """
    name = TableName.parse(table) if isinstance(table, str) else table
    if table_format is TableFormat.PARQUET:
        if as_of is not None:
            raise SettingsError("a table of Parquet has no earlier states: remove as_of")
        return read_parquet_scores(spark, name, catalog)
    missing = f"there is no table of scores {name}: create one with `undertone-batch run`"
    if catalog.type == "sqlite" and not catalog.sqlite_file.exists():
        raise OutputError(missing)
    configure_catalog(spark, catalog)
    path = f"{CATALOG}.{name}"
    if not spark.catalog.tableExists(path):
        raise OutputError(missing)
    if isinstance(as_of, int):
        rows = spark.sql(version_of(path, as_of))
    elif as_of is not None:
        rows = spark.sql(f"SELECT * FROM {path} TIMESTAMP AS OF '{as_of.isoformat()}'")  # noqa: S608 - the name is checked
    else:
        properties = {row.key: row.value for row in spark.sql(f"SHOW TBLPROPERTIES {path}").collect()}
        snapshot = properties["current-snapshot-id"]
        rows = spark.table(path) if snapshot == "none" else spark.sql(version_of(path, int(snapshot)))
    return rows if deleted else rows.where(sql.col("deleted_at").isNull())
