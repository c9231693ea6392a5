"""A scoring run as the command line asks for it: survey, first contact, the folder, the run and its summary."""

import asyncio
import signal
import time
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from rich.console import Console

from undertone_client.cli.progress import progress
from undertone_client.cli.summary import show_summary
from undertone_client.client import Client
from undertone_client.errors import OutputError
from undertone_client.job import Identity, Manifest, OutputFolder, Run, Survey, Tally, survey
from undertone_client.resilience import RetryPolicy
from undertone_client.settings import Settings
from undertone_client.sources import Catalogue
from undertone_client.values import Policy, ServedModel


@dataclass(frozen=True, slots=True)
class Job:
    """What to score, with what, and where to; `quiet` leaves out progress and summary."""

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
        """Survey the inputs, then score them; returns the final counts.

        Raises:
            UndertoneError: an input, the folder or the service cannot be used.
            KeyboardInterrupt, asyncio.CancelledError: SIGINT or SIGTERM; what was scored is saved.
        """
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
                    patience=self.settings.batch_items * self.settings.limit.initial,
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
