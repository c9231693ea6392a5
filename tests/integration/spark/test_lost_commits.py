"""Commits of the job that lose against a commit of another program, which changes no row."""

import sqlite3
from contextlib import closing
from dataclasses import replace

from pyspark.sql import SparkSession
from undertone_batch import JobConfig, RunMode
from undertone_client.jobs.catalog import CATALOG

from tests.integration.support.background_service import BackgroundService
from tests.integration.support.spark import needs_iceberg, needs_java
from tests.integration.support.spark_jobs import TOO_LONG, dead_letters_by_id, run, table, write_source

pytestmark = [needs_java, needs_iceberg]

OTHER_COMMIT = """
CREATE TRIGGER other_commit BEFORE UPDATE ON iceberg_tables WHEN OLD.metadata_location NOT LIKE '%/metadata/./%'
BEGIN
  UPDATE iceberg_tables SET metadata_location = replace(OLD.metadata_location, '/metadata/', '/metadata/./')
    WHERE table_namespace = OLD.table_namespace AND table_name = OLD.table_name;
  SELECT RAISE(IGNORE);
END
"""
"""Another program commits between the read and the commit of each change, with the same metadata.

The path of the metadata is another one each time, as Iceberg compares no more than that.
"""


def test_each_change_of_a_run_is_repeated_if_another_program_commits(
    spark: SparkSession, service: BackgroundService, config: JobConfig
) -> None:
    write_source(config, {"1": "The first paragraph", "2": "The second paragraph", "long": TOO_LONG})
    run(spark, config)
    with closing(sqlite3.connect(config.catalog.sqlite_file)) as database:
        database.execute(OTHER_COMMIT)
    service.fake.version, service.fake.labels = 2, (*service.fake.labels, "surprise_2")
    write_source(config, {"1": "The first paragraph", "2": "Another paragraph", "long": TOO_LONG})
    summary = run(spark, replace(config, mode=RunMode.BACKFILL))
    assert (summary.scored, summary.error) == (2, None)
    rows = table(spark, config)
    assert [(rows[ident].model_version, rows[ident].deleted_at) for ident in ("1", "2")] == [(2, None)] * 2
    assert dead_letters_by_id(config).keys() == {"long"}
    refs = spark.table(f"{CATALOG}.{config.table}.refs").collect()
    assert [ref["name"] for ref in refs] == ["main"]
