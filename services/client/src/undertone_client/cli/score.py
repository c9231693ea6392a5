"""`undertone score`."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import click

from undertone_client.cli.connection import Connection, connection_options
from undertone_client.cli.exits import EXIT_CODES, CommandError, ExitCode, explained
from undertone_client.cli.job import Job
from undertone_client.job import OutputFolder
from undertone_client.resilience import BreakerSettings, LimitSettings, RetryPolicy
from undertone_client.settings import Settings
from undertone_client.sources import Catalogue, Format, SourceOptions
from undertone_client.values import Policy

DEFAULTS = Settings()
PATIENT = 9
"""Attempts of a call in a run: with its waits, enough for a service that restarts."""


@click.command(
    epilog=f"""\b
Examples:
  undertone score stories/*.txt --out scores/stories
  undertone score reviews.csv --text-column review --id-column review_id --out scores/reviews
  zcat posts.jsonl.gz | undertone score - --format jsonl --text-column body --out scores/posts

\b
The folder:
  scores/part-*.parquet  a row for each paragraph, in the order of the input
  failures.jsonl         paragraphs without a score, and why
  run.json               inputs, options, model and counts

A run that was stopped, in whatever way, is continued by the same command: what has its score is not sent again, what has
failed is tried again, and the table becomes the same as that of a run which was never stopped.

{EXIT_CODES}"""
)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder for the scores.")
@click.option(
    "--format",
    "form",
    type=click.Choice([form.value for form in Format]),
    help="Form of the inputs; the default goes by each suffix, and takes standard input for text.",
)
@click.option("--text-column", default="text", show_default=True, help="Column with the paragraph.")
@click.option("--id-column", help="Column with its id.  [default: <document>/<position>]")
@click.option("--document-column", help="Column with the name of its document.  [default: the file's name]")
@click.option(
    "--policy",
    type=click.Choice([policy.value for policy in Policy]),
    default=Policy.CHUNK_MEAN.value,
    show_default=True,
    help="What to do with paragraphs that are longer than the model can read at once.",
)
@click.option("--overwrite", is_flag=True, help="Discard what an earlier run left in the folder.")
@click.option(
    "--batch-items",
    envvar="UNDERTONE_BATCH_ITEMS",
    type=click.IntRange(min=1),
    default=DEFAULTS.batch_items,
    show_default=True,
    help="Paragraphs in a call, at most.",
)
@click.option(
    "--in-flight",
    envvar="UNDERTONE_IN_FLIGHT",
    type=click.IntRange(min=1),
    default=None,
    help="Calls at once, always.  [default: found by itself]",
)
@click.option("--attempts", type=click.IntRange(min=1), default=PATIENT, show_default=True, help="Attempts of a call, at most.")
@click.option("--rows-per-part", type=click.IntRange(min=1), default=10_000, show_default=True, help="Paragraphs in a file.")
@click.option(
    "--checkpoint",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How often unfinished files are saved; a killed run loses no more than that.",
)
@click.option("--quiet", is_flag=True, help="Print errors only.")
@connection_options
@explained
def score(
    inputs: tuple[str, ...],
    *,
    out: Path,
    form: str | None,
    text_column: str,
    id_column: str | None,
    document_column: str | None,
    policy: str,
    overwrite: bool,
    batch_items: int,
    in_flight: int | None,
    attempts: int,
    rows_per_part: int,
    checkpoint: float,
    quiet: bool,
    target: str,
    **connection: Any,
) -> None:
    """Score every paragraph of the INPUTs: text split on blank lines, JSONL, CSV or Parquet; - is standard input.

    The inputs are read once before anything is sent, so that errors in them are found at once, then again while they are
    scored, in constant memory.
    """
    retry = RetryPolicy(attempts=attempts)
    settings = Connection(**connection).settings(
        batch_items=batch_items,
        limit=LimitSettings.fixed(in_flight) if in_flight else DEFAULTS.limit,
        lookahead_items=max(DEFAULTS.lookahead_items, 2 * batch_items),
        retry=retry,
        # A service that has gone is waited for as long as a call would be tried.
        breaker=BreakerSettings(patience_seconds=sum(retry.ceiling(failure) for failure in range(1, attempts))),
    )
    options = SourceOptions(Format(form) if form else None, text_column, id_column, document_column)
    catalogue = Catalogue.of(inputs, options, exclude=out)
    job = Job(target, settings, catalogue, OutputFolder(out), Policy(policy), rows_per_part, checkpoint, overwrite, quiet)
    try:
        tally = job.run()
    except KeyboardInterrupt:
        message = f"interrupted; what was scored is in {out}, and the same command goes on from there"
        raise CommandError(message, ExitCode.INTERRUPTED) from None
    except asyncio.CancelledError:
        message = f"terminated; what was scored is in {out}, and the same command goes on from there"
        raise CommandError(message, ExitCode.TERMINATED) from None
    sys.exit(ExitCode.FAILED if tally.failed else ExitCode.OK)
