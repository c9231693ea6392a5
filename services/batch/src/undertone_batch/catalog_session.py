"""The Spark session of commands that need a table but no service."""

from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql import SparkSession
from undertone_client.jobs.catalog import CatalogSettings

from undertone_batch.errors import explain_spark_errors
from undertone_batch.iceberg_catalog import configure_catalog, session_settings
from undertone_batch.session import cancel_on_signals, open_session, silence_pyspark, stop_session


@contextmanager
def catalog_session(name: str, catalog: CatalogSettings) -> Iterator[SparkSession]:
    """A session with a catalogue, which stops at the end. SIGINT and SIGTERM cancel Spark's jobs.

    Args:
        name: The name of the command and an id, for the name of Spark's application.
        catalog: The catalogue.

    Raises:
        SettingsError: the session cannot start, or cannot use the catalogue.
        JobError: Spark failed.
    """
    silence_pyspark()
    with explain_spark_errors():
        spark = open_session(name, session_settings(catalog))
        try:
            with cancel_on_signals(spark.sparkContext.cancelAllJobs), explain_spark_errors():
                configure_catalog(spark, catalog)
                spark.conf.set("spark.sql.session.timeZone", "UTC")
                yield spark
        finally:
            stop_session(spark)
