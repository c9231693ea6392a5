"""What every scoring command does: the options, the first contact, the run with its progress, and the summary."""

import asyncio
import signal
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console

from undertone_client import BreakerSettings, Client, LimitSettings, RetryPolicy, Settings
from undertone_client.cli.exits import CommandError, ExitCode
from undertone_client.cli.progress import progress
from undertone_client.cli.summary import show_summary
from undertone_client.errors import SettingsError
from undertone_client.job import Manifest, OutputFolder, Run, Selection, Tally
from undertone_client.sources import Catalogue
from undertone_client.values import ServedModel

F = TypeVar("F", bound=Callable[..., Any])

DEFAULTS = Settings()
PROMPT = RetryPolicy(attempts=3)
"""Of the first contact: whoever has just typed a command wants to hear soon that nobody answers."""
GIVEN_UP_CALLS = 4
"""So many full calls in a row without an answer, after all patience, end a run."""


def _limit(context: click.Context, option: click.Parameter, value: str) -> LimitSettings:
    try:
        return LimitSettings.parse(value)
    except SettingsError as error:
        raise click.BadParameter(str(error)) from None


def scoring_options(command: F) -> F:
    """Adds `batch_items`, `limit`, `attempts`, `patience`, `checkpoint` and `quiet` to a command's arguments."""
    options = (
        click.option(
            "--batch-items",
            envvar="UNDERTONE_BATCH_ITEMS",
            type=click.IntRange(min=1),
            default=DEFAULTS.batch_items,
            show_default=True,
            help="Paragraphs in a call, at most.",
        ),
        click.option(
            "--limit",
            envvar="UNDERTONE_LIMIT",
            callback=_limit,
            default="adaptive",
            show_default=True,
            metavar="adaptive|N",
            help="Calls at once: as many as the service bears, or always N.",
        ),
        click.option(
            "--attempts",
            type=click.IntRange(min=1),
            default=DEFAULTS.retry.attempts,
            show_default=True,
            help="Attempts of a call, at most; those while the service is down or full do not count.",
        ),
        click.option(
            "--patience",
            type=click.FloatRange(min=0),
            default=DEFAULTS.breaker.patience_seconds,
            show_default=True,
            metavar="SECONDS",
            help="How long a service that has gone, or is full, is waited for.",
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
    for option in reversed(options):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True)
class Effort:
    """The values of the options that say how a run is done."""

    batch_items: int
    limit: LimitSettings
    attempts: int
    patience: float
    checkpoint: float
    quiet: bool

    def settings(self) -> dict[str, Any]:
        """The fields of `Settings` that they determine."""
        return {
            "batch_items": self.batch_items,
            "limit": self.limit,
            "lookahead_items": max(DEFAULTS.lookahead_items, 2 * self.batch_items),
            "retry": RetryPolicy(attempts=self.attempts),
            "breaker": BreakerSettings(patience_seconds=self.patience),
        }


@dataclass(frozen=True, slots=True)
class Scoring:
    """A run into a folder as a command has it."""

    target: str
    settings: Settings
    folder: OutputFolder
    effort: Effort

    @property
    def console(self) -> Console:
        """Where progress is shown."""
        return Console(stderr=True, quiet=self.effort.quiet)

    def carry_out(self, work: Coroutine[Any, Any, Tally]) -> ExitCode:
        """Run a coroutine to its end, or until SIGINT or SIGTERM.

        Raises:
            UndertoneError: what it raises.
            CommandError: a signal came; what was scored is saved.
        """
        with _signals(self.folder.path):
            tally = asyncio.run(_until_terminated(work))
        return ExitCode.FAILED if tally.failed else ExitCode.OK

    async def first_contact(self) -> ServedModel:
        """The model that is served.

        Raises:
            ServiceError: the service does not answer.
        """
        async with Client(self.target, settings=replace(self.settings, retry=PROMPT)) as client:
            return await client.model()

    async def score(self, manifest: Manifest, catalogue: Catalogue, tally: Tally, selection: Selection) -> Manifest:
        """Score, with a view of it, and sum up. The folder must be locked; the manifest is returned as it is then."""
        began = time.monotonic()
        async with Client(self.target, settings=self.settings) as client:
            with progress(self.console, tally) as watch:
                run = Run(
                    self.folder,
                    manifest,
                    catalogue,
                    tally,
                    client,
                    selection=selection,
                    watch=watch,
                    checkpoint_seconds=self.effort.checkpoint,
                    patience=self.effort.batch_items * GIVEN_UP_CALLS,
                )
                manifest = await run.run()
            counts = client.state().counts
        show_summary(Console(quiet=self.effort.quiet), self.folder.path, manifest, tally, counts, time.monotonic() - began)
        return manifest


async def _until_terminated(work: Coroutine[Any, Any, Tally]) -> Tally:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine runs in a task
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await work


@contextmanager
def _signals(out: Path) -> Iterator[None]:
    kept = f"what was scored is in {out}, and the same command goes on from there"
    try:
        yield
    except KeyboardInterrupt:
        raise CommandError(f"interrupted; {kept}", ExitCode.INTERRUPTED) from None
    except asyncio.CancelledError:
        raise CommandError(f"terminated; {kept}", ExitCode.TERMINATED) from None
