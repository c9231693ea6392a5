"""A run: from the inputs through the service into the parts."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, aclosing
from datetime import UTC, datetime

import grpc

from undertone_client.client import Client
from undertone_client.errors import OutputError, UnavailableError
from undertone_client.job.failures import FailureListing, FailureRow
from undertone_client.job.folder import OutputFolder
from undertone_client.job.manifest import Manifest
from undertone_client.job.part import Part
from undertone_client.job.parts import Parts
from undertone_client.job.table import ScoresTable
from undertone_client.job.tally import Tally
from undertone_client.sources import Catalogue, Item
from undertone_client.sources.background import in_background
from undertone_client.sources.ledger import IdLedger
from undertone_client.values import Failure, Outcome, Paragraph, Score


def _ignore(tally: Tally) -> None:
    """Nobody watches."""


class Run:
    """Scores what the folder has no score for. Used once, with the folder locked.

    Args:
        folder: where the scores go.
        manifest: what the folder holds already, or a new one.
        catalogue: the inputs.
        tally: kept up to date; its `total` is the caller's.
        watch: called with the tally after every change.
        checkpoint_seconds: how often, at the least, what is known is saved while scores come in.
        patience: so many paragraphs in a row that fail with UNAVAILABLE, all retries used up, end the run.
        now: the time of day, in UTC.
        clock: seconds, for durations.
    """

    def __init__(
        self,
        folder: OutputFolder,
        manifest: Manifest,
        catalogue: Catalogue,
        tally: Tally,
        *,
        watch: Callable[[Tally], None] = _ignore,
        checkpoint_seconds: float = 10.0,
        patience: int = 64,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._manifest = manifest
        self._identity = manifest.identity
        self._table = ScoresTable(manifest.identity)
        self._catalogue = catalogue
        self._tally = tally
        self._watch = watch
        self._checkpoint_seconds = checkpoint_seconds
        self._patience = patience
        self._now = now
        self._clock = clock
        self._started = self._checkpointed = clock()
        self._awaited: dict[str, tuple[Part, Item]] = {}
        self._unreachable = 0

    async def run(self, client: Client) -> Manifest:
        """Score to the end; returns the manifest as it is written then.

        Whatever ends it early, a cancellation included, what is known by then is saved before it goes on its way.

        Raises:
            InputError: an input cannot be read.
            OutputError: the folder cannot be written, or does not fit the input or the model that is served now.
            UnavailableError: the service has gone.
        """
        self._tally.stored = sum(self._table.rows(path) for path in self._folder.parts())
        with ExitStack() as stack:
            listing = stack.enter_context(FailureListing(self._folder))
            parts = Parts(self._folder, self._table, listing, self._identity.rows_per_part)
            # Ids of files were checked in the survey; those of a pipe are, as they come.
            check_ids = self._identity.options.id_column is not None and not self._catalogue.repeatable
            ledger = stack.enter_context(IdLedger()) if check_ids else None
            try:
                async with in_background(self._catalogue.items(ledger)) as items:
                    needed = self._needed(items, parts)
                    async with aclosing(client.score(needed, ordered=False, policy=self._identity.policy)) as outcomes:
                        async for outcome in outcomes:
                            self._settle(outcome)
                            parts.close_settled()
                            self._checkpoint(parts)
                parts.end()
            except BaseException:
                parts.abandon()
                self._write_manifest()
                raise
        return self._finish()

    async def _needed(self, items: AsyncIterator[Item], parts: Parts) -> AsyncIterator[Paragraph]:
        async for item in items:
            part, kept = parts.enter(item)
            if kept is not None:
                self._tally.keep(kept.label, kept.tokens)
                self._watch(self._tally)
            elif item.text is None:
                self._fail(part, item, grpc.StatusCode.INVALID_ARGUMENT, item.problem or "no text", attempts=0)
            else:
                self._awaited[item.id] = (part, item)
                yield Paragraph(item.text, item.id)

    def _settle(self, outcome: Outcome) -> None:
        part, item = self._awaited.pop(outcome.paragraph.id)
        if isinstance(outcome, Failure):
            self._fail(part, item, outcome.status, outcome.reason, outcome.attempts)
            self._unreachable = self._unreachable + 1 if outcome.status is grpc.StatusCode.UNAVAILABLE else 0
            if self._unreachable >= self._patience:
                raise UnavailableError(outcome.status, outcome.reason, attempts=outcome.attempts)
            return
        self._check_model(outcome)
        self._unreachable = 0
        part.score(item, outcome, self._now())
        self._tally.score(outcome.label, outcome.tokens)
        self._watch(self._tally)

    def _fail(self, part: Part, item: Item, status: grpc.StatusCode, reason: str, attempts: int) -> None:
        part.fail(item, FailureRow.of(item, status.name, reason, attempts))
        self._tally.failed += 1
        self._watch(self._tally)

    def _check_model(self, score: Score) -> None:
        began, now = self._identity.model, score.model
        if now != began or score.labels != self._identity.labels:
            raise OutputError(
                f"the service has changed its model to {now} in the middle of the run; {self._folder.path} holds scores "
                f"of {began}: have that one served again, or start anew with --overwrite"
            )

    def _checkpoint(self, parts: Parts) -> None:
        if self._clock() - self._checkpointed >= self._checkpoint_seconds:
            parts.save()
            self._write_manifest()
            self._checkpointed = self._clock()

    def _write_manifest(self) -> None:
        self._folder.write_manifest(self._manifest.updated(self._tally, seconds=self._clock() - self._started))

    def _finish(self) -> Manifest:
        if self._manifest.complete and not self._tally.scored and not self._tally.failed:
            return self._manifest  # nothing has changed
        seconds = self._clock() - self._started
        manifest = self._manifest.updated(self._tally, seconds=seconds, finished_at=self._now())
        self._folder.write_manifest(manifest)
        return manifest
