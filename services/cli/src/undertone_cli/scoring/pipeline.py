"""Streams the paragraphs of the inputs through the client into the parts of the table."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, aclosing
from datetime import UTC, datetime

import grpc
from undertone_client.client import Client
from undertone_client.errors import UnavailableError
from undertone_client.jobs import OutputError
from undertone_client.jobs.paragraph_length import is_short
from undertone_client.values import Failure, Outcome, Paragraph, Score

from undertone_cli.flag_reasons import split_flags
from undertone_cli.readers import InputParagraph, InputSet, Snapshot, UniqueIds, read_ahead
from undertone_cli.run_folder import (
    BadLineFile,
    FailedParagraphs,
    FailureFile,
    FailureRecord,
    Manifest,
    Part,
    PartWriter,
    RunFolder,
    ScoreTable,
    TextScore,
    Throughput,
)
from undertone_cli.scoring.monitor import OnChange, RunCounts, RunMonitor, ignore_changes
from undertone_cli.scoring.texts import PendingTexts, ResultCache, TextFailure


class Pipeline:
    """Scores the paragraphs that have no score in the folder. Used once, with the folder locked.

    A text that several paragraphs have is sent once, while `ResultCache` holds its result.

    Args:
        folder: where the scores are written.
        manifest: the folder's manifest.
        inputs: the inputs.
        counts: updated as the run proceeds; the caller sets `total`.
        client: an open client.
        replay: restricts the run to the dead letters of a complete run.
        on_change: called after each change and every second with the counts and the client's state.
        checkpoint_seconds: interval at which unfinished parts are saved.
        max_unavailable: consecutive paragraphs that may fail with UNAVAILABLE before the run ends.
        now: returns the current time, in UTC.
        clock: a monotonic clock, in seconds.
        sleep: sleeps for a number of seconds.
    """

    def __init__(
        self,
        folder: RunFolder,
        manifest: Manifest,
        inputs: InputSet,
        counts: RunCounts,
        client: Client,
        *,
        replay: FailedParagraphs | None = None,
        on_change: OnChange = ignore_changes,
        checkpoint_seconds: float = 10.0,
        max_unavailable: int = 64,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._folder = folder
        self._manifest = manifest
        self._identity = manifest.identity
        self._inputs = inputs
        self._counts = counts
        self._client = client
        self._replay = replay
        self._checkpoint_seconds = checkpoint_seconds
        self._max_unavailable = max_unavailable
        self._now = now
        self._clock = clock
        self._last_checkpoint = clock()
        self._throughput = Throughput(manifest.throughput)
        self._monitor = RunMonitor(
            counts, self._throughput, client.state, manifest.seconds, on_change=on_change, clock=clock, sleep=sleep
        )
        self._failure_file = FailureFile(folder)
        self._bad_lines = BadLineFile(folder, manifest.identity.options.on_bad_line)
        self._parts = PartWriter(
            folder, ScoreTable(manifest.identity), self._failure_file, manifest.shards, manifest.identity.rows_per_part
        )
        self._snapshot = Snapshot(manifest.identity.sources)
        self._pending = PendingTexts()
        self._cache = ResultCache()
        self._paragraphs_read = 0
        self._consecutive_unavailable = 0

    @property
    def grown(self) -> list[str]:
        """Names of the inputs that have grown since they were inspected. The rest is not scored."""
        return self._snapshot.grown

    async def run(self) -> Manifest:
        """Score to the end of the inputs. Returns the manifest that was written.

        An exception or a cancellation is raised after everything is saved.

        Raises:
            InputError: an input cannot be read.
            OutputError: the folder cannot be written, or does not match the inputs or the model.
            UnavailableError: the service stopped answering.
        """
        async with AsyncExitStack() as stack:
            stack.enter_context(self._failure_file)
            stack.enter_context(self._bad_lines)
            # The inspection has checked the ids of files. It cannot read pipes.
            check_ids = self._identity.options.id_column is not None and not self._inputs.rereadable
            ids = stack.enter_context(UniqueIds()) if check_ids else None
            await stack.enter_async_context(self._monitor.ticking())
            try:
                async with read_ahead(self._input_paragraphs(ids), _characters) as paragraphs:
                    to_send = self._paragraphs_to_send(paragraphs)
                    async with aclosing(self._client.score(to_send, ordered=False, policy=self._identity.policy)) as outcomes:
                        async for outcome in outcomes:
                            self._write_outcome(outcome)
                            self._parts.close_finished()
                            self._checkpoint()
                if self._replay is not None:
                    self._replay.check_all_taken()
                self._parts.finish(self._paragraphs_read)
                self._bad_lines.publish()
            except BaseException as error:
                self._save_interrupted(error)
                raise
        return self._write_final_manifest()

    async def _paragraphs_to_send(self, paragraphs: AsyncIterator[InputParagraph]) -> AsyncIterator[Paragraph]:
        """Yield the paragraphs to send. Writes the results of all other paragraphs."""
        async for paragraph in paragraphs:
            self._paragraphs_read += 1
            if self._replay is not None and not self._replay.in_affected_part(paragraph):
                continue
            if paragraph.text is not None and self._is_short(paragraph.text):
                self._skip_short(paragraph)
                continue
            part, saved = self._parts.add(paragraph)
            if self._replay is not None:
                self._replay.take(paragraph, scored=saved is not None)
            if saved is not None:
                self._keep_saved_score(paragraph, saved)
            elif paragraph.text is None:
                reason = paragraph.problem or "no text"
                self._write_failure(part, paragraph, FailureRecord.of(paragraph, "INVALID_ARGUMENT", reason, attempts=0))
            elif (cached := self._cache.get(paragraph.text_sha256)) is not None:
                self._counts.repeated += 1
                self._write_result(part, paragraph, cached)
            elif self._pending.add(part, paragraph):
                # The service limits the length of ids, and it may refuse an id. With the ordinal as
                # id, each refusal depends on the text alone, as the cache of results requires.
                yield Paragraph(paragraph.text, str(paragraph.ordinal))
            else:
                self._counts.repeated += 1
                await self._pending.wait_for_room()

    def _input_paragraphs(self, ids: UniqueIds | None) -> Iterator[InputParagraph]:
        on_skipped_line = self._bad_lines.add
        return self._inputs.paragraphs(ids, self._snapshot.filter, types=self._identity.types, on_skipped_line=on_skipped_line)

    def _is_short(self, text: str) -> bool:
        minimum = self._identity.options.min_characters
        return minimum > 0 and is_short(text, minimum)

    def _skip_short(self, paragraph: InputParagraph) -> None:
        self._parts.add_short(paragraph)
        if self._replay is None:
            self._counts.short += 1
            self._monitor.notify()

    def _write_outcome(self, outcome: Outcome) -> None:
        if isinstance(outcome, Score):
            self._check_model(outcome)
        waiting = self._pending.pop(int(outcome.paragraph.id))
        result = self._cache.add(waiting[0].paragraph.text_sha256, outcome)
        for pending in waiting:
            self._write_result(pending.part, pending.paragraph, result)
        self._check_available(outcome)

    def _keep_saved_score(self, paragraph: InputParagraph, score: TextScore) -> None:
        self._cache.add_score(paragraph.text_sha256, score)
        if self._replay is None:
            self._counts.add_kept(self._labels(score), score.tokens, split_flags(score.flags))
            self._monitor.notify()

    def _write_result(self, part: Part, paragraph: InputParagraph, result: TextScore | TextFailure) -> None:
        if isinstance(result, TextFailure):
            record = FailureRecord.of(paragraph, result.status.name, result.reason, result.attempts)
            self._write_failure(part, paragraph, record)
            return
        part.add_score(paragraph, result, self._now())
        self._counts.add_scored(self._labels(result), result.tokens, split_flags(result.flags))
        self._monitor.notify()

    def _labels(self, score: TextScore) -> tuple[str, ...]:
        """The labels that the paragraph has."""
        return score.labels_above_threshold if self._identity.multi_label else (score.label,)

    def _write_failure(self, part: Part, paragraph: InputParagraph, record: FailureRecord) -> None:
        part.add_failure(paragraph, record)
        self._counts.add_failed(record.status)
        self._monitor.notify()

    def _check_model(self, score: Score) -> None:
        identity = self._identity
        recorded = (identity.model, identity.labels, identity.problem_type)
        if (score.model, score.labels, score.problem_type) != recorded:
            change = f"its model to {score.model}" if score.model != identity.model else f"the labels of {score.model}"
            raise OutputError(
                f"the service changed {change} during the run, but {self._folder.path} contains scores of {identity.model}; "
                "serve that model again, or discard the run with `undertone score --overwrite`"
            )

    def _check_available(self, outcome: Outcome) -> None:
        if not isinstance(outcome, Failure) or outcome.status is not grpc.StatusCode.UNAVAILABLE:
            self._consecutive_unavailable = 0
            return
        self._consecutive_unavailable += 1
        if self._consecutive_unavailable >= self._max_unavailable:
            raise UnavailableError(outcome.status, outcome.reason, attempts=outcome.attempts)

    def _checkpoint(self) -> None:
        if self._clock() - self._last_checkpoint >= self._checkpoint_seconds:
            self._parts.save()
            if self._replay is None:
                self._folder.write_manifest(self._updated_manifest())
            self._last_checkpoint = self._clock()

    def _save_interrupted(self, error: BaseException) -> None:
        try:
            self._parts.save_interrupted()
            # The old _failures.jsonl has the dead letters that an interrupted replay did not reach.
            if self._replay is None:
                self._failure_file.publish()
                self._bad_lines.publish()
                self._folder.write_manifest(self._updated_manifest())
        except OutputError:
            if not isinstance(error, OutputError):
                raise

    def _updated_manifest(self, finished_at: datetime | None = None) -> Manifest:
        self._monitor.sample()
        self._counts.bad_lines = self._bad_lines.count
        return self._manifest.updated(
            kept=self._counts.kept,
            repeated=self._counts.repeated,
            bad_lines=self._bad_lines.count,
            calls=self._client.state().counts,
            shards=self._parts.shards,
            throughput=self._throughput.samples,
            seconds=self._monitor.seconds,
            finished_at=finished_at,
        )

    def _write_final_manifest(self) -> Manifest:
        if self._manifest.complete and self._manifest.shards == self._parts.shards and not self._counts.failed:
            self._counts.bad_lines = self._bad_lines.count
            return self._manifest  # nothing has changed
        manifest = self._updated_manifest(self._now())
        self._folder.write_manifest(manifest)
        return manifest


def _characters(paragraph: InputParagraph) -> int:
    return len(paragraph.text or "") + sum(len(value) for value in paragraph.kept if isinstance(value, str | bytes))
