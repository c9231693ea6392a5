"""`undertone score` and `undertone replay`."""

import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
from undertone_client.jobs import (
    EXIT_CODES,
    ConnectionOptions,
    RetryOptions,
    connection_options,
    explain_errors,
    finish_by_option,
    job_option,
    job_session,
    policy_option,
    retry_options,
)
from undertone_client.jobs.catalog import TableOptions, table_options
from undertone_client.telemetry import CATALOGUE
from undertone_client.values import Policy
from undertone_telemetry import TelemetrySettings
from undertone_telemetry.options import IntegerRange, telemetry_options

from undertone_cli.commands.input_options import read_options
from undertone_cli.commands.table import describe, open_publication
from undertone_cli.configuration import configured_flags
from undertone_cli.readers import ReadOptions, find_inputs
from undertone_cli.run_folder import RunFolder
from undertone_cli.scoring import RunOptions, ScoringRun, run_options, write_event

if TYPE_CHECKING:
    from undertone_cli.publish import Publication


def _local_folder(context: click.Context, option: click.Parameter, value: str) -> Path:
    if "://" in value:
        raise click.BadParameter(
            f"{value} is not a local folder. A run needs a file lock against other runs, which object stores do not have: "
            "use a local folder, and copy it afterwards"
        )
    return Path(value)


def _distinct(context: click.Context, option: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    for index, column in enumerate(value):
        if column in value[:index]:
            raise click.BadParameter(f"{column!r} is given twice: give it once")
    return value


@click.command(
    epilog=f"""\b
Examples:
  undertone score stories/*.txt --out scores/stories
  undertone score corpus/ 's3://library/2024/**/*.parquet' --out scores/library
  undertone score reviews.csv --text-column review --id-column review_id --out scores/reviews
  undertone score reviews.csv --keep stars --out scores/reviews \\
      --table emotions.reviews --warehouse lake
  undertone score posts.jsonl.gz comments.tsv --text-column body --out scores/posts
  curl -s https://example.org/posts | undertone score - --format jsonl --out scores/posts

\b
Files in the folder:
  part-*.parquet   a row for each scored paragraph, in the order of the input
  _failures.jsonl  dead letters: paragraphs without a score, and why (see undertone replay)
  _bad_lines.jsonl lines that were skipped, with --on-bad-line skip
  _run.json        inputs, options, model, counts, gRPC statuses, throughput over time

\b
pandas, Arrow, DuckDB and Spark read the folder as one table: pandas.read_parquet("DIR").

To continue a run that was interrupted or killed, run the same command again. It does not send
paragraphs that have a score, and it retries failed paragraphs. The table then has the same rows in
the same order as that of an uninterrupted run. Probabilities may differ, by up to 0.004 with a bf16
model and in the last digits with fp32, because they depend on which paragraphs share a batch.

An input without paragraphs gives a table without rows. A folder or a pattern without files is an
error.

If inputs, options or model differ from those recorded in the folder, the command lists the
differences.

{EXIT_CODES}"""
)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option(
    "--out", required=True, type=click.Path(file_okay=False), callback=_local_folder, help="Local folder for the scores."
)
@read_options
@click.option(
    "--keep",
    multiple=True,
    metavar="COLUMN",
    callback=_distinct,
    help="Column of the inputs to copy to the scores, with its type. Plain text has the column text. Can be repeated.",
)
@policy_option
@click.option("--overwrite", is_flag=True, help="Discard the scores of an earlier run in the folder.")
@click.option(
    "--rows-per-part", type=IntegerRange(min=1), default=10_000, show_default=True, help="Paragraphs in a Parquet file."
)
@table_options("Also publish the scores to this Iceberg table, as undertone publish does.", required=False)
@finish_by_option()
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
    read: ReadOptions,
    keep: tuple[str, ...],
    policy: Policy,
    overwrite: bool,
    rows_per_part: int,
    table: TableOptions | None,
    finish_by: float | None,
    retry: RetryOptions,
    options: RunOptions,
    connection: ConnectionOptions,
    telemetry: TelemetrySettings,
    job: str,
) -> None:
    """Score every paragraph of the INPUTs into a folder.

    An INPUT is a file, a folder, a quoted pattern, any of these in an object store
    (s3://bucket/key, gs://bucket/key), or - for standard input. Formats are text with blank lines
    between paragraphs, JSONL, an array of JSON objects, CSV, TSV and Parquet. All except for
    Parquet can be compressed with gzip, bzip2, xz or Zstandard.

    Files are read once before anything is sent, to find errors early, and again while they are
    scored, in constant memory. A text that occurs more than once is sent only once.
    """
    read = replace(read, keep=keep)
    with job_session(telemetry, job, connection.target, catalogue=CATALOGUE, finish_by=finish_by) as session:
        publication = open_publication(table) if table else None
        if publication is not None:
            publication.check()
        found = find_inputs(inputs, read, exclude=out, optional=configured_flags(click.get_current_context()))
        folder = RunFolder(out)
        run = ScoringRun(session, connection, retry, options, folder, check_identity=publication.check if publication else None)
        code = run.score(found, policy, rows_per_part, overwrite=overwrite)
        if table is not None and publication is not None:
            _publish(publication, table, folder, options)
    sys.exit(code)


@click.command(
    epilog=f"""\b
Examples:
  undertone replay scores/reviews
  undertone replay scores/reviews --limit 2 --timeout 120
  undertone replay scores/reviews --table emotions.reviews --warehouse lake

The command reads the texts again from the inputs that _run.json names. If an input has changed since
it was scored, the command changes nothing and exits with 2. A paragraph that gets a score moves from
_failures.jsonl to its place in the table. A paragraph that fails again stays in _failures.jsonl with
the new reason. To continue a replay that was interrupted or killed, run the same command again.

{EXIT_CODES}"""
)
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@table_options("Also publish the scores to this Iceberg table, as undertone publish does.", required=False)
@retry_options
@run_options
@connection_options
@telemetry_options()
@job_option("replay")
@explain_errors
def replay(
    folder: Path,
    *,
    table: TableOptions | None,
    retry: RetryOptions,
    options: RunOptions,
    connection: ConnectionOptions,
    telemetry: TelemetrySettings,
    job: str,
) -> None:
    """Score the dead letters of DIR again: the paragraphs in its _failures.jsonl.

    DIR is the folder of a complete run of `undertone score`.
    """
    with job_session(telemetry, job, connection.target, catalogue=CATALOGUE) as session:
        run_folder = RunFolder(folder)
        run_folder.manifest()  # before the catalogue of a wrong warehouse is created
        publication = open_publication(table) if table else None
        check = publication.check if publication else None
        code = ScoringRun(session, connection, retry, options, run_folder, check_identity=check).replay()
        if table is not None and publication is not None:
            _publish(publication, table, run_folder, options)
    sys.exit(code)


def _publish(publication: "Publication", table: TableOptions, folder: RunFolder, options: RunOptions) -> None:
    with folder.locked():
        published = publication.publish(folder)
    if options.as_json:
        write_event("published", {"table": str(table.name), **asdict(published)})
    elif not options.quiet:
        click.echo(describe(table, published))
