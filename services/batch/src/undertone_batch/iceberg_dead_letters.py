"""The Iceberg table of paragraphs without a score."""

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import from_arrow_schema
from undertone_client.jobs.score_columns import DEAD_LETTER_COLUMNS
from undertone_client.jobs.table_properties import FORMAT, FORMAT_PROPERTY


def write_dead_letters(path: str, letters: DataFrame, run_id: str, in_wave: str) -> None:
    """Replaces the dead letters of a run and a wave. The first dead letter creates the table.

    A run that was killed between this write and the commit of its scores writes them again.

    Args:
        path: The table.
        letters: The columns of the table.
        run_id: The run.
        in_wave: A condition of SQL: whether the id of a row is in the wave.
    """
    spark = letters.sparkSession
    if spark.catalog.tableExists(path):
        own = f"run_id = '{run_id}' AND {in_wave}"
        if not spark.table(path).where(own).isEmpty():
            spark.sql(f"DELETE FROM {path} WHERE {own}")  # noqa: S608 - run ids are checked
    else:
        columns = [letters.schema["id"], *from_arrow_schema(pa.schema(DEAD_LETTER_COLUMNS)).fields]
        ddl = ", ".join(f"{column.name} {column.dataType.simpleString()}" for column in columns)
        spark.sql(
            f"CREATE TABLE IF NOT EXISTS {path} ({ddl}) USING iceberg PARTITIONED BY (days(failed_at))"
            f" TBLPROPERTIES ('{FORMAT_PROPERTY}' = '{FORMAT}', 'format-version' = '2')"
        )
    letters.writeTo(path).append()
