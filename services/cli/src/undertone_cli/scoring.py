"""What every scoring command does: the options, the first contact, the run with its progress, and the summary."""

import logging
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import click
from rich.console import Console
from undertone_client import Client, ClientState, RetryPolicy, Settings
from undertone_client.jobs import (
    CommandError,
    ConnectionOptions,
    ExitCode,
    JobSession,
    RetryOptions,
    Terminated,
)
from undertone_client.values import ServedModel
from undertone_telemetry.options import option_group

from undertone_cli.job import Manifest, OutputFolder, Run, Selection, Tally
from undertone_cli.progress import Occasionally, progress
from undertone_cli.sources import Catalogue
from undertone_cli.summary import show_summary

DEFAULTS = Settings()
PROMPT = RetryPolicy(attempts=3)
"""Of the first contact: whoever has just typed a command wants to hear soon that nobody answers."""
GIVEN_UP_CALLS = 4
"""So many full calls in a row without an answer, after all patience, end a run."""

TELL_SECONDS = 1.0
"""Between words about the progress to who sees the job."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The values of the options that say how a run is done."""

    batch_items: int
    checkpoint: float
    quiet: bool


run_options = option_group(
    "options",
    RunOptions,
    click.option(
        "--batch-items",
        envvar="UNDERTONE_BATCH_ITEMS",
        type=click.IntRange(min=1),
        default=DEFAULTS.batch_items,
        show_default=True,
        help="Paragraphs in a call, at most.",
    ),
    click.option(
        "--checkpoint",
        type=click.FloatRange(min=0),
        default=10.0,
        show_default=True,
        metavar="SECONDS",
        help="How often unfinished files are saved; a killed run loses no more than that.",
    ),
    click.option("--quiet", is_flag=True, help="Print errors only."),
)
"""Adds `options` to a command's arguments."""


@dataclass(frozen=True, slots=True)
class Scoring:
    """A run into a folder as a command has it."""

    connection: ConnectionOptions
    retry: RetryOptions
    options: RunOptions
    folder: OutputFolder
    session: JobSession

    @property
    def settings(self) -> Settings:
        """Those of the client."""
        items = self.options.batch_items
        return self.connection.settings(
            batch_items=items, lookahead_items=max(DEFAULTS.lookahead_items, 2 * items), **self.retry.settings()
        )

    @property
    def console(self) -> Console:
        """Where progress is shown; nowhere if it is logged."""
        return Console(stderr=True, quiet=self.options.quiet or self.session.logged)

    def say(self, text: str) -> None:
        """Show a line, or log it."""
        if self.session.logged and not self.options.quiet:
            log.info(text)
        self.console.print(text, highlight=False, soft_wrap=True)

    def carry_out(self, work: Coroutine[Any, Any, Tally]) -> ExitCode:
        """Run a coroutine to its end, or until SIGINT or SIGTERM.

        Raises:
            UndertoneError: what it raises.
            CommandError: a signal came; what was scored is saved.
        """
        if self.session.metrics_url:
            self.say(f"Metrics are at {self.session.metrics_url}")
        saved = f"what was scored is in {self.folder.path}, and the same command continues from there"
        try:
            tally = self.session.run_until_signalled(work)
        except KeyboardInterrupt:
            raise CommandError(f"interrupted; {saved}", ExitCode.INTERRUPTED) from None
        except Terminated:
            raise CommandError(f"terminated; {saved}", ExitCode.TERMINATED) from None
        if not tally.failed:
            return ExitCode.OK
        paragraphs = "1 paragraph has" if tally.failed == 1 else f"{tally.failed:,} paragraphs have"
        self.session.reporter.mark_failed(f"{paragraphs} no score, see {self.folder.failures}")
        return ExitCode.FAILED

    async def first_contact(self) -> ServedModel:
        """The model that is served.

        Raises:
            ServiceError: the service does not answer.
        """
        async with Client(self.connection.target, settings=replace(self.settings, retry=PROMPT)) as client:
            return await client.model()

    async def score(self, manifest: Manifest, catalogue: Catalogue, tally: Tally, selection: Selection) -> Manifest:
        """Score, with a view of it, and sum up. The folder must be locked; the manifest is returned as it is then."""
        began = time.monotonic()
        async with self.session.client(self.settings) as client:
            with progress(self.console, tally, say=self.say) as shown, self._told(tally) as told:

                def watch(now: Tally, state: Callable[[], ClientState]) -> None:
                    shown(now, state)
                    told(now, state)

                run = Run(
                    self.folder,
                    manifest,
                    catalogue,
                    tally,
                    client,
                    selection=selection,
                    watch=watch,
                    checkpoint_seconds=self.options.checkpoint,
                    patience=self.options.batch_items * GIVEN_UP_CALLS,
                )
                manifest = await run.run()
            counts = client.state().counts
        show_summary(Console(quiet=self.options.quiet), self.folder.path, manifest, tally, counts, time.monotonic() - began)
        return manifest

    @contextmanager
    def _told(self, tally: Tally) -> Iterator[Occasionally]:
        """Tells who sees the job how far it is, the last time when it ends in whatever way."""

        def tell(now: Tally, state: ClientState) -> None:
            self.session.reporter.report_progress(now.outcomes, now.wanted)

        try:
            yield Occasionally(tell, TELL_SECONDS)
        finally:
            self.session.reporter.report_progress(tally.outcomes, tally.wanted)
