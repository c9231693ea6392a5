"""The Iceberg table of paragraphs without a score."""

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema
from undertone_client.jobs import OutputError
from undertone_client.jobs.catalog import CATALOG
from undertone_client.jobs.score_columns import DEAD_LETTER_COLUMNS
from undertone_client.jobs.table_properties import FORMAT, FORMAT_PROPERTY


def check_dead_letters(spark: SparkSession, path: str) -> None:
    """Checks that a table, if it exists, is one of dead letters.

    Raises:
        OutputError: it has other columns.
    """
    if not spark.catalog.tableExists(path):
        return
    types = {column.name: column.dataType for column in spark.table(path).schema.fields}
    columns = from_arrow_schema(pa.schema(DEAD_LETTER_COLUMNS)).fields
    wrong = [column.name for column in columns if types.get(column.name) != column.dataType]
    if "id" not in types or wrong:
        name = path.removeprefix(f"{CATALOG}.")
        raise OutputError(
            f"{name} is not a table of dead letters of this release: its columns {', '.join(wrong) or 'id'} are missing or have"
            " other types. Rename it, or set --table to another name"
        )


def write_dead_letters(path: str, letters: DataFrame, count: int, run_id: str, in_wave: str) -> None:
    """Replaces the dead letters of a run and a wave. The first dead letter creates the table.

    A run that was killed between this write and the commit of its scores writes them again. If the
    repeated wave has none, those of the killed attempt are deleted.

    Args:
        path: The table.
        letters: The columns of the table.
        count: 0 if and only if `letters` has no rows. Counting them here would be one more job.
        run_id: The run.
        in_wave: A condition of SQL: whether the id of a row is in the wave.
    """
    spark = letters.sparkSession
    if spark.catalog.tableExists(path):
        own = f"run_id = '{run_id}' AND {in_wave}"
        if not spark.table(path).where(own).isEmpty():
            spark.sql(f"DELETE FROM {path} WHERE {own}")  # noqa: S608 - run ids are checked
    if not count:
        return
    if not spark.catalog.tableExists(path):
        columns = [letters.schema["id"], *from_arrow_schema(pa.schema(DEAD_LETTER_COLUMNS)).fields]
        ddl = ", ".join(f"{column.name} {column.dataType.simpleString()}" for column in columns)
        spark.sql(
            f"CREATE TABLE IF NOT EXISTS {path} ({ddl}) USING iceberg PARTITIONED BY (days(failed_at))"
            f" TBLPROPERTIES ('{FORMAT_PROPERTY}' = '{FORMAT}', 'format-version' = '2')"
        )
    letters.writeTo(path).append()
