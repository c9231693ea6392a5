"""`undertone-batch run`."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
from undertone_client import Mode, Policy, SettingsError
from undertone_client.jobs import (
    ConnectionOptions,
    JobSession,
    OutputError,
    RetryOptions,
    connection_options,
    explain_errors,
    job_option,
    job_session,
    policy_option,
    retry_options,
)
from undertone_telemetry.options import telemetry_options
from undertone_telemetry.periodic import PeriodicThread
from undertone_telemetry.settings import TelemetrySettings

from undertone_batch.cancellation import cancelled_by_signals
from undertone_batch.errors import spark_explained
from undertone_batch.job import Job
from undertone_batch.order import Order, new_run
from undertone_batch.plan import RunMode
from undertone_batch.service import Service
from undertone_batch.session import open_session
from undertone_batch.source import MIN_CHARACTERS, Source
from undertone_batch.summary import Summary

TELL_SECONDS = 5.0
"""Between words about the progress to who sees the job."""

EXIT_CODES = """\b
Exit codes:
  0    what was to be scored has its score, but for --max-failed-share
  1    more failed than that, or the run itself did; what was committed is in the table
  2    options, the source or the table cannot be used
  3    the service cannot be reached, or has gone
  130  interrupted (143: terminated)"""

log = logging.getLogger(__name__)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="undertone-batch", prog_name="undertone-batch")
def undertone_batch() -> None:
    """Score the emotions of paragraphs with Spark and an Undertone service."""


@undertone_batch.command(
    epilog=f"""\b
Examples:
  undertone-batch run --mode backfill --source posts/ --table scores --target localhost:50051
  spark-submit --master yarn undertone_batch/__main__.py run --mode daily --source s3://lake/posts/ \\
      --table s3://lake/scores --target dns:///undertone.example:443 --tls

{EXIT_CODES}"""
)
@click.option(
    "--mode",
    type=click.Choice([mode.value for mode in RunMode]),
    required=True,
    help="backfill scores everything; daily what is new, has changed, or was scored by another model or policy.",
)
@click.option(
    "--source", "locations", multiple=True, required=True, help="Path or pattern, may be repeated; or the name of a table."
)
@click.option(
    "--format",
    "form",
    default="parquet",
    show_default=True,
    help="parquet, json, csv, delta, iceberg or any other that Spark has; table for a table of its catalogues.",
)
@click.option("--option", "options", multiple=True, metavar="NAME=VALUE", help="Option of the format, such as sep=; for CSV.")
@click.option("--id-column", default="id", show_default=True, help="Column with the paragraph's id.")
@click.option("--text-column", default="text", show_default=True, help="Column with the paragraph.")
@click.option(
    "--min-characters",
    type=click.IntRange(min=0),
    default=MIN_CHARACTERS,
    show_default=True,
    help="Shorter paragraphs are left out.",
)
@click.option("--table", required=True, help="Folder of the table of scores, on any file system that Spark reaches.")
@click.option(
    "--deletions",
    type=click.Choice(["mark", "ignore"]),
    default="mark",
    show_default=True,
    help="Rows whose paragraph is not in the source: mark them; ignore them if the source holds only a part of all.",
)
@policy_option
@click.option(
    "--max-failed-share",
    type=float,
    default=0.01,
    show_default=True,
    help="Share of all paragraphs that may fail, from 0 to 1.",
)
@click.option("--wave-rows", type=int, default=250_000, show_default=True, help="Paragraphs between two commits, about.")
@click.option("--buckets", type=int, default=64, show_default=True, help="Buckets of a new table.")
@click.option("--run", "run_id", default=new_run, help="Id of the run, such as a scheduler's.  [default: a random one]")
@click.option("--summary", type=click.Path(dir_okay=False, path_type=Path), help="Write the summary of the run here, too.")
@retry_options
@connection_options
@telemetry_options()
@job_option(None)
@explain_errors
def run(
    mode: str,
    *,
    locations: tuple[str, ...],
    form: str,
    options: tuple[str, ...],
    id_column: str,
    text_column: str,
    min_characters: int,
    table: str,
    deletions: str,
    policy: Policy,
    max_failed_share: float,
    wave_rows: int,
    buckets: int,
    run_id: str,
    summary: Path | None,
    retry: RetryOptions,
    connection: ConnectionOptions,
    telemetry: TelemetrySettings,
    job: str | None,
) -> None:
    """Bring a table of scores in line with a source of paragraphs.

    The table has one row for each paragraph. Running the same again changes nothing; a run that was stopped, in whatever way,
    leaves the table as it was at the last commit, and the next goes on from there.
    """
    settings = connection.settings(mode=Mode.BATCH, **retry.settings())
    order = Order(
        mode=RunMode(mode),
        source=Source(locations, form, _pairs(options), id_column, text_column, min_characters),
        table=table,
        service=Service(connection.target, settings, policy, sent_by_workers(telemetry)),
        mark_deleted=deletions == "mark",
        max_failed_share=max_failed_share,
        wave_rows=wave_rows,
        bucket_count=buckets,
        run=run_id,
    )
    with job_session(telemetry, job or mode, connection.target, logged=True) as session:
        _quieten()
        if session.metrics_url:
            log.info("metrics are at %s", session.metrics_url)
        with spark_explained():
            spark = open_session(order.run)
        try:
            _run(Job(spark, order), session, summary)
        finally:
            spark.stop()


def _run(job: Job, session: JobSession, summary: Path | None) -> None:
    progress = PeriodicThread(lambda: session.reporter.report_progress(job.outcomes, job.wanted), TELL_SECONDS)
    progress.start()
    try:
        with cancelled_by_signals(job.cancel):
            job.run()
    finally:
        progress.stop(TELL_SECONDS)
        click.echo(job.summary.to_text(), err=True)
        if summary is not None:
            write_summary(summary, job.summary)


def sent_by_workers(settings: TelemetrySettings) -> TelemetrySettings:
    """What of the command's settings is of use in Spark's workers, of which nobody knows where they are and when."""
    return replace(settings, metrics_port=None, pushgateway="")


def _quieten() -> None:
    logging.getLogger("py4j").setLevel(logging.WARNING)
    # PySpark logs each exception with its traceback and the query's plan before it raises it; ours say what was wrong.
    logging.getLogger("DataFrameQueryContextLogger").setLevel(logging.CRITICAL)


def write_summary(path: Path, summary: Summary) -> None:
    """Write the summary to a file.

    Raises:
        OutputError: it cannot be written; if the run failed, this is logged only, and does not take its error's place.
    """
    try:
        path.write_text(summary.to_json(), encoding="utf-8")
    except OSError as error:
        problem = f"{path} cannot be written: {error.strerror or error}"
        if summary.error is None:
            raise OutputError(f"{problem}. Name another file with --summary; the run itself succeeded") from None
        log.warning(problem)


def _pairs(options: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for option in options:
        name, separator, value = option.partition("=")
        if not separator:
            raise SettingsError(f"--option {option!r} has no value; write NAME=VALUE, such as sep=;")
        pairs[name] = value
    return pairs
