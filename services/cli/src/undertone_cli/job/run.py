"""A run: from the inputs through the service into the parts."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from datetime import UTC, datetime

import grpc
from undertone_client.client import Client
from undertone_client.errors import UnavailableError
from undertone_client.jobs import OutputError
from undertone_client.values import Failure, Outcome, Paragraph, Score

from undertone_cli.job.answers import Answer, Answers, Refusal
from undertone_cli.job.awaited import Awaited
from undertone_cli.job.failures import FailureListing, FailureRow
from undertone_cli.job.folder import OutputFolder
from undertone_cli.job.manifest import Manifest
from undertone_cli.job.monitor import Monitor, Watch, ignore
from undertone_cli.job.part import Part
from undertone_cli.job.parts import Parts
from undertone_cli.job.selection import Everything, Selection
from undertone_cli.job.shard import Shards
from undertone_cli.job.table import ScoresTable
from undertone_cli.job.tally import Tally
from undertone_cli.job.throughput import Throughput
from undertone_cli.sources import Catalogue, Item
from undertone_cli.sources.background import in_background
from undertone_cli.sources.ledger import IdLedger


class Run:
    """Scores what the folder has no score for. Used once, with the folder locked.

    Each text is sent once, however many paragraphs have it, as far back as `Answers` remembers.

    Args:
        folder: where the scores go.
        manifest: what the folder holds already, or a new one.
        catalogue: the inputs.
        tally: kept up to date; its `total` is the caller's.
        client: an open one.
        selection: what of the inputs is scored.
        watch: called after every change and every second, with the tally and what tells the client's state.
        checkpoint_seconds: how often, at the least, what is known is saved while scores come in.
        patience: so many paragraphs in a row that fail with UNAVAILABLE, all retries used up, end the run.
        now: the time of day, in UTC.
        clock: seconds, for durations.
        sleep: waits for so many seconds.
    """

    def __init__(
        self,
        folder: OutputFolder,
        manifest: Manifest,
        catalogue: Catalogue,
        tally: Tally,
        client: Client,
        *,
        selection: Selection | None = None,
        watch: Watch = ignore,
        checkpoint_seconds: float = 10.0,
        patience: int = 64,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._folder = folder
        self._manifest = manifest
        self._identity = manifest.identity
        self._table = ScoresTable(manifest.identity)
        self._shards = Shards(manifest.shards)
        self._catalogue = catalogue
        self._tally = tally
        self._selection = selection or Everything()
        self._client = client
        self._checkpoint_seconds = checkpoint_seconds
        self._patience = patience
        self._now = now
        self._clock = clock
        self._checkpointed = clock()
        self._throughput = Throughput(manifest.throughput)
        self._monitor = Monitor(tally, self._throughput, client.state, manifest.seconds, watch=watch, clock=clock, sleep=sleep)
        self._awaited = Awaited()
        self._answers = Answers()
        self._paragraphs = 0
        self._unreachable = 0

    async def run(self) -> Manifest:
        """Score to the end; returns the manifest as it is written then.

        Whatever ends it early, a cancellation included, what is known by then is saved before it goes on its way.

        Raises:
            InputError: an input cannot be read.
            OutputError: the folder cannot be written, or does not fit the input or the model that is served now.
            UnavailableError: the service has gone.
        """
        async with AsyncExitStack() as stack:
            listing = stack.enter_context(FailureListing(self._folder))
            parts = Parts(self._folder, self._table, listing, self._shards, self._identity.rows_per_part)
            # Ids of files were checked in the survey; those of a pipe are, as they come.
            check_ids = self._identity.options.id_column is not None and not self._catalogue.repeatable
            ledger = stack.enter_context(IdLedger()) if check_ids else None
            await stack.enter_async_context(self._monitor.ticking())
            try:
                async with in_background(self._catalogue.items(ledger), _characters) as items:
                    needed = self._needed(items, parts)
                    async with aclosing(self._client.score(needed, ordered=False, policy=self._identity.policy)) as outcomes:
                        async for outcome in outcomes:
                            self._settle(outcome)
                            parts.close_settled()
                            self._checkpoint(parts)
                parts.end(self._paragraphs)
            except BaseException as error:
                self._abandon(parts, listing, error)
                raise
        return self._finish()

    async def _needed(self, items: AsyncIterator[Item], parts: Parts) -> AsyncIterator[Paragraph]:
        async for item in items:
            self._paragraphs += 1
            if not self._selection.covers(item):
                continue
            part, answer = parts.enter(item)
            if answer is not None:
                self._keep(item, answer)
            elif (letter := self._selection.withheld(item)) is not None:
                self._fail(part, item, letter)
            elif item.text is None:
                self._fail(part, item, FailureRow.of(item, "INVALID_ARGUMENT", item.problem or "no text", attempts=0))
            elif (known := self._answers.get(item.text_sha256)) is not None:
                self._tally.repeated += 1
                self._write(part, item, known)
            elif self._awaited.add(part, item):
                yield Paragraph(item.text, item.id)
            else:
                self._tally.repeated += 1
                await self._awaited.room()

    def _settle(self, outcome: Outcome) -> None:
        if isinstance(outcome, Score):
            self._check_model(outcome)
        places = self._awaited.answered(outcome.paragraph.id)
        answer = self._answers.learn(places[0].item.text_sha256, outcome)
        for place in places:
            self._write(place.part, place.item, answer)
        self._check_reach(outcome)

    def _keep(self, item: Item, answer: Answer) -> None:
        self._answers.remember(item.text_sha256, answer)
        if self._selection.whole:
            self._tally.keep(answer.label, answer.tokens)
            self._monitor.changed()

    def _write(self, part: Part, item: Item, answer: Answer | Refusal) -> None:
        if isinstance(answer, Refusal):
            self._fail(part, item, FailureRow.of(item, answer.status.name, answer.reason, answer.attempts))
            return
        part.score(item, answer, self._now())
        self._tally.score(answer.label, answer.tokens)
        self._monitor.changed()

    def _fail(self, part: Part, item: Item, failure: FailureRow) -> None:
        part.fail(item, failure)
        self._tally.fail(failure.status)
        self._monitor.changed()

    def _check_model(self, score: Score) -> None:
        began, now = self._identity.model, score.model
        if now != began or score.labels != self._identity.labels:
            raise OutputError(
                f"the service has changed its model to {now} in the middle of the run; {self._folder.path} holds scores "
                f"of {began}: have that one served again, or start anew with --overwrite"
            )

    def _check_reach(self, outcome: Outcome) -> None:
        if not isinstance(outcome, Failure) or outcome.status is not grpc.StatusCode.UNAVAILABLE:
            self._unreachable = 0
            return
        self._unreachable += 1
        if self._unreachable >= self._patience:
            raise UnavailableError(outcome.status, outcome.reason, attempts=outcome.attempts)

    def _checkpoint(self, parts: Parts) -> None:
        if self._clock() - self._checkpointed >= self._checkpoint_seconds:
            parts.save()
            if self._selection.whole:
                self._folder.write_manifest(self._updated())
            self._checkpointed = self._clock()

    def _abandon(self, parts: Parts, listing: FailureListing, error: BaseException) -> None:
        try:
            parts.abandon()
            # Dead letters that were not come to are in the listing that stands, and only there.
            if self._selection.whole:
                listing.publish()
                self._folder.write_manifest(self._updated())
        except OutputError:
            if not isinstance(error, OutputError):
                raise

    def _updated(self, finished_at: datetime | None = None) -> Manifest:
        self._monitor.sample()
        return self._manifest.updated(
            self._tally,
            self._shards.snapshot(),
            self._client.state().counts,
            self._throughput.snapshot(),
            seconds=self._monitor.seconds,
            finished_at=finished_at,
        )

    def _finish(self) -> Manifest:
        if self._manifest.complete and self._manifest.shards == self._shards.snapshot() and not self._tally.failed:
            return self._manifest  # nothing has changed
        manifest = self._updated(self._now())
        self._folder.write_manifest(manifest)
        return manifest


def _characters(item: Item) -> int:
    return len(item.text or "")
