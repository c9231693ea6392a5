"""The command `undertone-batch maintain`."""

import uuid
from datetime import UTC, datetime

import click
from undertone_client.jobs import explain_errors
from undertone_client.jobs.catalog import TableOptions, table_options
from undertone_telemetry.options import IntegerRange

from undertone_batch.errors import explain_spark_errors
from undertone_batch.iceberg_catalog import configure_catalog, session_settings
from undertone_batch.maintenance import Maintenance, Retention
from undertone_batch.session import cancel_on_signals, open_session, silence_pyspark, stop_session

EXIT_CODES = """\b
Exit codes:
  0    success
  1    Spark failed; finished steps are kept
  2    the options are invalid, or the table cannot be maintained; finished steps are kept"""

DEFAULTS = Retention()


@click.command(
    epilog=f"""\b
Examples:
  undertone-batch maintain --table emotions.stories --warehouse lake
  undertone-batch maintain --table emotions.stories --warehouse lake --keep-days 90 --dry-run

{EXIT_CODES}"""
)
@table_options("Table of scores.", required=True)
@click.option(
    "--keep-days",
    type=IntegerRange(min=1),
    default=DEFAULTS.snapshot_days,
    show_default=True,
    help="Keep the snapshots of this many days. Time travel goes back as far.",
)
@click.option(
    "--keep-snapshots",
    type=IntegerRange(min=1),
    default=DEFAULTS.snapshots,
    show_default=True,
    help="Keep at least this many of the latest snapshots, whatever their age.",
)
@click.option(
    "--orphan-days",
    type=IntegerRange(min=1),
    default=DEFAULTS.orphan_days,
    show_default=True,
    help="Delete files that are older than this many days and that no snapshot uses. A younger file may belong to a run that"
    " has not committed it yet, so use more days than a run takes.",
)
@click.option("--dry-run", is_flag=True, help="Change nothing; print what would be done.")
@explain_errors
def maintain(table: TableOptions, *, keep_days: int, keep_snapshots: int, orphan_days: int, dry_run: bool) -> None:
    """Merge small files of a table, and delete old snapshots and unused files.

    Does the same for the dead letters of the table. Rows do not change. Runs may write the
    table at the same time.
    """
    retention = Retention(keep_days, keep_snapshots, orphan_days)
    silence_pyspark()
    with explain_spark_errors():
        spark = open_session(f"maintain {uuid.uuid4().hex[:12]}", session_settings(table.catalog))
        try:
            with cancel_on_signals(spark.sparkContext.cancelAllJobs), explain_spark_errors():
                configure_catalog(spark, table.catalog)
                spark.conf.set("spark.sql.session.timeZone", "UTC")
                for step in Maintenance(spark, retention, datetime.now(UTC), dry_run=dry_run).run(table.name):
                    click.echo(f"{step.table}: {step.action}")
        finally:
            stop_session(spark)
