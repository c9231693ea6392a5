"""The commands of `undertone-batch`, and `undertone-batch run`."""

import logging
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click
from undertone_client import Mode, Policy
from undertone_client.jobs import (
    ConnectionOptions,
    JobSession,
    OutputError,
    RetryOptions,
    connection_options,
    explain_errors,
    finish_by_option,
    job_option,
    job_session,
    policy_option,
    retry_options,
)
from undertone_client.jobs.catalog import TableOptions, parse_pairs, table_options
from undertone_client.jobs.paragraph_length import MIN_CHARACTERS
from undertone_telemetry import TelemetrySettings
from undertone_telemetry.options import IntegerRange, refuse_unused, telemetry_options
from undertone_telemetry.periodic import PeriodicThread

from undertone_batch.config import JobConfig, RunMode, Service, new_run_id
from undertone_batch.errors import explain_spark_errors
from undertone_batch.iceberg_catalog import session_settings
from undertone_batch.job import ScoringJob
from undertone_batch.layout import Layout, PartitionBy, TableFormat
from undertone_batch.maintain_command import maintain
from undertone_batch.schedule import ScheduledTime
from undertone_batch.session import cancel_on_signals, open_session, silence_pyspark, stop_session
from undertone_batch.source import Source
from undertone_batch.summary import Summary

PROGRESS_SECONDS = 5.0
"""The interval between reports of progress."""

EXIT_CODES = """\b
Exit codes:
  0    success: at most --max-failed-share of the paragraphs failed
  1    more paragraphs failed, or the run failed; committed scores are in the table
  2    the options, the source or the table are invalid
  3    the service cannot be reached
  130  interrupted (SIGINT)
  143  terminated (SIGTERM)"""

log = logging.getLogger(__name__)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="undertone-batch", prog_name="undertone-batch")
def undertone_batch() -> None:
    """Score the emotions of paragraphs with Spark and an Undertone service."""


undertone_batch.add_command(maintain)


@undertone_batch.command(
    epilog=f"""\b
Examples:
  undertone-batch run --mode backfill --source posts/ --table emotions.posts --warehouse lake --target localhost:50051
  spark-submit --master yarn undertone_batch/__main__.py run --mode daily --tls \\
      --source s3://lake/posts/ --table emotions.posts --catalog-type glue --warehouse s3://lake/tables \\
      --target dns:///undertone.example:443

{EXIT_CODES}"""
)
@click.option(
    "--mode",
    type=click.Choice([mode.value for mode in RunMode]),
    required=True,
    help="backfill: score all paragraphs. daily: score those that are new, have changed, or were scored by another model"
    " or policy.",
)
@click.option(
    "--source",
    "locations",
    multiple=True,
    required=True,
    help="Path or glob of the paragraphs; can be repeated. With --format table: the name of a table.",
)
@click.option(
    "--format",
    "source_format",
    default="parquet",
    show_default=True,
    help="Format of the source: parquet, json, csv, delta, iceberg or any other that Spark can read, or table for a table"
    " of Spark's catalogues.",
)
@click.option(
    "--option",
    "source_options",
    multiple=True,
    metavar="NAME=VALUE",
    help="Option of the format, such as sep=; for CSV. Can be repeated. Options that lose rows without an error are refused.",
)
@click.option(
    "--id-column",
    default="id",
    show_default=True,
    help="Column with the id of the paragraph: strings or integers. If no column is named a.b, a.b is the field b of the"
    " column a.",
)
@click.option(
    "--text-column",
    default="text",
    show_default=True,
    help="Column with the text of the paragraph. Names are as for --id-column.",
)
@click.option(
    "--document-column",
    help="Column to copy to the table's column document: the name of a story, a string or an integer.",
)
@click.option(
    "--position-column",
    help="Column to copy to the table's column position: an integer, or a string of decimal digits.",
)
@click.option(
    "--keep",
    multiple=True,
    metavar="COLUMN",
    help="Column of the source to copy to the table, with its type. Can be repeated. If only such a column, the document or"
    " the position changes, the row is updated without a new score.",
)
@click.option(
    "--min-characters",
    type=IntegerRange(min=0),
    default=MIN_CHARACTERS,
    show_default=True,
    help="Minimum length of a paragraph without white space around it. Shorter ones are not scored.",
)
@table_options("Table of scores.", required=True)
@click.option(
    "--table-format",
    type=click.Choice([each.value for each in TableFormat]),
    default=TableFormat.ICEBERG.value,
    show_default=True,
    help="Format of the table of scores. parquet: only for backfills, which replace all rows, and not atomic.",
)
@click.option(
    "--deletions",
    type=click.Choice(["mark", "ignore"]),
    default="mark",
    show_default=True,
    help="mark: mark rows whose paragraph is not in the source. ignore: for a source that contains only part of the data.",
)
@policy_option
@click.option(
    "--max-deleted-share",
    type=float,
    default=0.1,
    show_default=True,
    help="Maximum share of the table's paragraphs that the run may mark as deleted, from 0 to 1. If more are missing from"
    " the source, it is probably damaged, and the run stops before it scores. Up to 10 paragraphs may always be deleted,"
    " unless the source is empty.",
)
@click.option(
    "--max-failed-share",
    type=float,
    default=0.01,
    show_default=True,
    help="Maximum share of all paragraphs that may fail, from 0 to 1.",
)
@click.option(
    "--wave-rows",
    type=int,
    default=250_000,
    show_default=True,
    help="Approximate number of paragraphs between two commits.",
)
@click.option("--buckets", type=int, default=64, show_default=True, help="Number of buckets of a new table.")
@click.option(
    "--partition-by",
    type=click.Choice([each.value for each in PartitionBy]),
    default=PartitionBy.ID.value,
    show_default=True,
    help="Partitions of a new table. id: buckets of ids. day: days of scored_at.",
)
@click.option("--run", "run_id", default=new_run_id, show_default="random", help="Id of the run, such as a scheduler's.")
@click.option(
    "--as-of",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    help="UTC time of the data in the source, for scheduled runs. The table records the newest time of each --job. With"
    " --deletions mark, a run with older data than the table's succeeds and changes nothing.",
)
@click.option(
    "--summary",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write the summary of the run to this file, as JSON.",
)
@finish_by_option()
@retry_options
@connection_options
@telemetry_options()
@job_option(None)
@explain_errors
def run(
    mode: str,
    *,
    locations: tuple[str, ...],
    source_format: str,
    source_options: tuple[str, ...],
    id_column: str,
    text_column: str,
    document_column: str | None,
    position_column: str | None,
    keep: tuple[str, ...],
    min_characters: int,
    table: TableOptions,
    deletions: str,
    policy: Policy,
    max_deleted_share: float,
    max_failed_share: float,
    wave_rows: int,
    buckets: int,
    partition_by: str,
    table_format: str,
    run_id: str,
    as_of: datetime | None,
    summary: Path | None,
    finish_by: float | None,
    retry: RetryOptions,
    connection: ConnectionOptions,
    telemetry: TelemetrySettings,
    job: str | None,
) -> None:
    """Score the paragraphs of a source into a table.

    The table has one row for each paragraph. A daily run that is repeated changes nothing. If a run
    is stopped, the table has the scores of its last commit, and the next run continues from there.
    """
    if table_format == TableFormat.PARQUET:
        refuse_unused("is for Iceberg tables: omit it, or --table-format parquet", "partition_by")
    settings = connection.settings(mode=Mode.BATCH, **retry.settings())
    config = JobConfig(
        mode=RunMode(mode),
        source=Source(
            locations,
            source_format,
            parse_pairs(source_options, "--option", "sep=;"),
            id_column,
            text_column,
            min_characters,
            document_column,
            position_column,
            keep,
        ),
        table=table.name,
        catalog=table.catalog,
        service=Service(connection.target, settings, policy, worker_telemetry(telemetry)),
        mark_deleted=deletions == "mark",
        max_deleted_share=max_deleted_share,
        max_failed_share=max_failed_share,
        wave_rows=wave_rows,
        layout=Layout(TableFormat(table_format), PartitionBy(partition_by), buckets),
        run_id=run_id,
        scheduled=None if as_of is None else ScheduledTime(job or mode, as_of.replace(tzinfo=UTC)),
    )
    with job_session(telemetry, job or mode, connection.target, use_log=True, finish_by=finish_by) as session:
        silence_pyspark()
        if session.metrics_url:
            log.info("metrics are at %s", session.metrics_url)
        with explain_spark_errors():
            iceberg = config.layout.format is TableFormat.ICEBERG
            spark = open_session(config.run_id, session_settings(config.catalog) if iceberg else {})
        try:
            with explain_spark_errors():
                job_run = ScoringJob(spark, config)
            _run(job_run, session, summary)
        finally:
            stop_session(spark)


def _run(job: ScoringJob, session: JobSession, summary: Path | None) -> None:
    def report() -> None:
        session.reporter.report_progress(
            job.finished_paragraphs, job.expected_paragraphs, tokens_per_paragraph=job.tokens_per_paragraph
        )

    progress = PeriodicThread(report, PROGRESS_SECONDS)
    progress.start()
    try:
        with cancel_on_signals(job.cancel):
            job.run()
    finally:
        progress.stop(PROGRESS_SECONDS)
        click.echo(job.summary.to_text(), err=True)
        if summary is not None:
            write_summary(summary, job.summary)


def worker_telemetry(settings: TelemetrySettings) -> TelemetrySettings:
    """The settings for Spark's workers, which have no fixed address and no job metrics to push."""
    return replace(settings, metrics_port=None, pushgateway="", pushgateway_namespace="")


def write_summary(path: Path, summary: Summary) -> None:
    """Writes the summary to a file.

    If the run failed, an error here is only logged, so that the run's own error is reported.

    Raises:
        OutputError: the file cannot be written, and the run succeeded.
    """
    try:
        path.write_text(summary.to_json(), encoding="utf-8")
    except OSError as error:
        problem = f"{path} cannot be written: {error.strerror or error}"
        if summary.error is None:
            raise OutputError(f"{problem}. The run succeeded, but set --summary to a different file") from None
        log.warning(problem)
