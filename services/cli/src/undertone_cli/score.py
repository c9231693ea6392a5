"""`undertone score`."""

import sys
from pathlib import Path

import click
from undertone_client.jobs import (
    EXIT_CODES,
    ConnectionOptions,
    RetryOptions,
    connection_options,
    explain_errors,
    job_option,
    job_session,
    policy_option,
    retry_options,
)
from undertone_client.telemetry import CATALOGUE
from undertone_client.values import Policy
from undertone_telemetry.options import telemetry_options
from undertone_telemetry.settings import TelemetrySettings

from undertone_cli.job import OutputFolder
from undertone_cli.scoring import RunOptions, Scoring, run_options
from undertone_cli.scoring_job import Job
from undertone_cli.sources import Catalogue, Format, SourceOptions


def _local(context: click.Context, option: click.Parameter, value: str) -> Path:
    if "://" in value:
        raise click.BadParameter(
            f"{value} is no local folder. A run replaces its files while it goes on, under a lock that keeps other runs out, "
            "and object stores have no such lock: score into a local folder, then copy it there"
        )
    return Path(value)


@click.command(
    epilog=f"""\b
Examples:
  undertone score stories/*.txt --out scores/stories
  undertone score corpus/ 's3://library/2024/**/*.parquet' --out scores/library
  undertone score reviews.csv --text-column review --id-column review_id --out scores/reviews
  zcat posts.jsonl.gz | undertone score - --format jsonl --text-column body --out scores/posts

\b
The folder:
  scores/part-*.parquet  a row for each paragraph, in the order of the input
  failures.jsonl         dead letters: paragraphs without a score, and why (see undertone replay)
  run.json               inputs, options, model, shards, counts, gRPC statuses, throughput over time

A run that was stopped, in whatever way, is continued by the same command: what has its score is not sent again, what has
failed is tried again, and the table becomes the same as that of a run which was never stopped.

{EXIT_CODES}"""
)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option("--out", required=True, type=click.Path(file_okay=False), callback=_local, help="Local folder for the scores.")
@click.option(
    "--format",
    "form",
    type=click.Choice([form.value for form in Format]),
    help="Form of the inputs; the default goes by each suffix, and takes standard input for text.",
)
@click.option("--text-column", default="text", show_default=True, help="Column with the paragraph.")
@click.option("--id-column", help="Column with its id.  [default: <document>/<position>]")
@click.option("--document-column", help="Column with the name of its document.  [default: the file's name]")
@policy_option
@click.option("--overwrite", is_flag=True, help="Discard what an earlier run left in the folder.")
@click.option("--rows-per-part", type=click.IntRange(min=1), default=10_000, show_default=True, help="Paragraphs in a file.")
@retry_options
@run_options
@connection_options
@telemetry_options()
@job_option("score")
@explain_errors
def score(
    inputs: tuple[str, ...],
    *,
    out: Path,
    form: str | None,
    text_column: str,
    id_column: str | None,
    document_column: str | None,
    policy: Policy,
    overwrite: bool,
    rows_per_part: int,
    retry: RetryOptions,
    options: RunOptions,
    connection: ConnectionOptions,
    telemetry: TelemetrySettings,
    job: str,
) -> None:
    """Score every paragraph of the INPUTs: text split on blank lines, JSONL, CSV or Parquet.

    An INPUT is a file, a folder, a pattern (in quotes, so that the shell leaves it alone), any of these in an object store
    (s3://bucket/key, gs://bucket/key), or - for standard input. They are read once before anything is sent, so that errors in
    them are found at once, then again while they are scored, in constant memory. A text that comes more than once is sent once.
    """
    read = SourceOptions(Format(form) if form else None, text_column, id_column, document_column)
    with job_session(telemetry, job, connection.target, catalogue=CATALOGUE) as session:
        catalogue = Catalogue.of(inputs, read, exclude=out)
        scoring = Scoring(connection, retry, options, OutputFolder(out), session)
        code = Job(scoring, catalogue, policy, rows_per_part, overwrite).run()
    sys.exit(code)
