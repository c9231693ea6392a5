"""`undertone score`."""

import asyncio
import signal
import sys
import time
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from undertone_client.cli.connection import Connection, connection_options
from undertone_client.cli.exits import EXIT_CODES, CommandError, ExitCode, explained
from undertone_client.cli.progress import progress
from undertone_client.cli.summary import show_summary
from undertone_client.client import Client
from undertone_client.errors import OutputError
from undertone_client.job import Identity, Manifest, OutputFolder, Run, Survey, Tally, survey
from undertone_client.retry import RetryPolicy
from undertone_client.settings import Settings
from undertone_client.sources import Catalogue, Format, SourceOptions
from undertone_client.values import Policy, ServedModel

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
    type=click.IntRange(1, DEFAULTS.lookahead_items),
    default=DEFAULTS.batch_items,
    show_default=True,
    help="Paragraphs in a call, at most.",
)
@click.option(
    "--in-flight",
    envvar="UNDERTONE_IN_FLIGHT",
    type=click.IntRange(min=1),
    default=DEFAULTS.in_flight,
    show_default=True,
    help="Calls at once, at most.",
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
    in_flight: int,
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
    settings = Connection(**connection).settings(
        batch_items=batch_items, in_flight=in_flight, retry=RetryPolicy(attempts=attempts)
    )
    catalogue = Catalogue(inputs, SourceOptions(Format(form) if form else None, text_column, id_column, document_column))
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


@dataclass(frozen=True, slots=True)
class Job:
    """A run as the command line asks for it."""

    target: str
    settings: Settings
    catalogue: Catalogue
    folder: OutputFolder
    policy: Policy
    rows_per_part: int
    checkpoint_seconds: float
    overwrite: bool
    quiet: bool

    def run(self) -> Tally:
        """Survey the inputs, then score them."""
        console = Console(stderr=True, quiet=self.quiet)
        with console.status("Reading the inputs") if console.is_terminal else nullcontext():
            surveyed = survey(self.catalogue)
        return asyncio.run(self._score(surveyed, console))

    async def _score(self, surveyed: Survey, console: Console) -> Tally:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        identity = self._identity(surveyed, await self._first_contact())
        tally = Tally(total=surveyed.paragraphs)
        began = time.monotonic()
        with self.folder.locked():
            manifest = self._manifest(identity)
            with progress(console, tally) as watch:
                run = Run(
                    self.folder,
                    manifest,
                    self.catalogue,
                    tally,
                    watch=watch,
                    checkpoint_seconds=self.checkpoint_seconds,
                    patience=self.settings.batch_items * self.settings.in_flight,
                )
                async with Client(self.target, settings=self.settings) as client:
                    manifest = await run.run(client)
        show_summary(Console(quiet=self.quiet), self.folder.path, manifest, tally, time.monotonic() - began)
        return tally

    async def _first_contact(self) -> ServedModel:
        # Fewer attempts than in the run: whoever has just typed the command wants to hear soon that nobody answers.
        settings = replace(self.settings, retry=RetryPolicy(attempts=min(3, self.settings.retry.attempts)))
        async with Client(self.target, settings=settings) as client:
            return await client.model()

    def _identity(self, surveyed: Survey, served: ServedModel) -> Identity:
        options = self.catalogue.options
        return Identity(surveyed.fingerprints, options, self.rows_per_part, served.model, served.labels, self.policy)

    def _manifest(self, identity: Identity) -> Manifest:
        if self.overwrite:
            self.folder.clear()
        manifest = self.folder.read_manifest()
        if manifest is None:
            manifest = Manifest(identity, started_at=datetime.now(UTC))
            self.folder.write_manifest(manifest)
        elif differences := list(manifest.identity.differences(identity)):
            listed = "\n  ".join(differences)
            raise OutputError(
                f"{self.folder.path} holds another run:\n  {listed}\nUse another --out, or discard it with --overwrite"
            )
        return manifest
