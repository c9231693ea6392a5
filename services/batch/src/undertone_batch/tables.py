"""The table of scores in its format: for a run, and for readers."""

from datetime import UTC, datetime

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sql
from undertone_client import SettingsError
from undertone_client.jobs import OutputError
from undertone_client.jobs.catalog import CATALOG, CatalogSettings, CatalogType, TableName

from undertone_batch.iceberg_catalog import configure_catalog
from undertone_batch.iceberg_sql import version_of
from undertone_batch.iceberg_table import IcebergTable, read_state
from undertone_batch.layout import Layout, TableFormat
from undertone_batch.parquet_table import ParquetTable, has_files, parquet_folder, read_parquet_scores
from undertone_batch.spark_reasons import spark_reason
from undertone_batch.table import ScoreTable


def open_table(spark: SparkSession, name: TableName, catalog: CatalogSettings, layout: Layout) -> ScoreTable:
    """The table for a run.

    Raises:
        SettingsError: the session cannot use the catalogue.
        OutputError: the warehouse cannot be created, or has a table of Parquet with this name.
    """
    if layout.format is TableFormat.PARQUET:
        return ParquetTable(spark, name, catalog, layout.bucket_count)
    if catalog.type is CatalogType.SQLITE:
        try:
            catalog.local_warehouse.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"the warehouse {catalog.warehouse} cannot be created: {error.strerror or error}: set --warehouse"
            ) from None
    configure_catalog(spark, catalog)
    if catalog.type in (CatalogType.SQLITE, CatalogType.HADOOP):
        # Maintenance would delete its files, which no snapshot uses.
        folder = parquet_folder(name, catalog)
        if has_files(spark, f"{folder}_state"):
            raise OutputError(
                f"{folder} is a table of scores in Parquet: set --table to another name, or --table-format parquet"
            )
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
        as_of: A time, in UTC if it has no time zone, or the id of a snapshot: the rows as they were
            then. By default the current rows. Only for Iceberg.
        table_format: The format of the table.

    Raises:
        OutputError: the table does not exist, is none of scores of this release, or had no
            snapshot at that time.
        SettingsError: `as_of` is set for a table of Parquet.
    """
    name = TableName.parse(table) if isinstance(table, str) else table
    if table_format is TableFormat.PARQUET:
        if as_of is not None:
            raise SettingsError("a table of Parquet has no earlier states: remove as_of")
        return read_parquet_scores(spark, name, catalog)
    if isinstance(as_of, datetime) and as_of.tzinfo is None:
        as_of = as_of.replace(tzinfo=UTC)
    missing = f"there is no table of scores {name}: create one with `undertone-batch run`"
    if catalog.type is CatalogType.SQLITE and not catalog.sqlite_file.exists():
        raise OutputError(missing)
    configure_catalog(spark, catalog)
    path = f"{CATALOG}.{name}"
    if not spark.catalog.tableExists(path):
        raise OutputError(missing)
    snapshot = read_state(spark, str(name)).snapshot
    if as_of is not None:
        rows = _read_as_of(spark, path, as_of)
    else:
        rows = spark.table(path) if snapshot is None else spark.sql(version_of(path, snapshot))
    return rows if deleted else rows.where(sql.col("deleted_at").isNull())


def _read_as_of(spark: SparkSession, path: str, as_of: datetime | int) -> DataFrame:
    by_time = f"SELECT * FROM {path} TIMESTAMP AS OF '{{}}'"  # noqa: S608 - the name is checked
    query = version_of(path, as_of) if isinstance(as_of, int) else by_time.format(as_of.isoformat())
    try:
        return spark.sql(query)
    except (PySparkException, Py4JJavaError) as error:
        raise OutputError(
            f"{path.removeprefix(f'{CATALOG}.')} has no snapshot as of {as_of} ({spark_reason(error)}): it was created later,"
            " or the snapshot has expired"
        ) from None
