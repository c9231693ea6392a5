"""Writes SPARK_CLASSES, from which the Java processes of later tests map Spark's classes.

Loading them from Spark's jars takes a third of a short run's time. Java ignores the file after a
change of the jars. Run `.ci/spark-classes`, which starts this module.
"""

import tempfile
from contextlib import closing
from pathlib import Path

from pyspark import SparkContext
from undertone_batch import JobConfig, RunMode, Service, Source
from undertone_batch.layout import Layout
from undertone_client.jobs.catalog import CatalogSettings, TableName

from tests.integration.support.background_service import BackgroundService
from tests.integration.support.processes import TIMEOUT_SECONDS
from tests.integration.support.spark import SPARK_CLASSES, spark_session
from tests.integration.support.spark_jobs import SETTINGS, run, write_source


def main() -> None:
    """Writes the classes that a first and a second run of the job use."""
    SPARK_CLASSES.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (
            spark_session(folder, f"-XX:ArchiveClassesAtExit={SPARK_CLASSES}") as session,
            closing(BackgroundService()) as service,
        ):
            gateway = SparkContext._gateway
            assert gateway is not None
            source = Source((str(folder / "source"),), format="json")
            target = Service(service.target, SETTINGS)
            catalog = CatalogSettings(warehouse=str(folder / "lake"))
            config = JobConfig(RunMode.DAILY, source, TableName("emotions", "posts"), catalog, target, Layout(bucket_count=1))
            for text in ("The first text", "The second text"):
                write_source(config, {"a": text})
                run(session, config)
        gateway.shutdown()
        gateway.proc.stdin.close()
        gateway.proc.wait(TIMEOUT_SECONDS)


if __name__ == "__main__":
    main()
