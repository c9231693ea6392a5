"""One run of `undertone score` or `undertone replay`, from the first call to the summary."""

import logging
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from rich.console import Console
from undertone_client import CallCounts, DeadlineExceededError, UnavailableError
from undertone_client.jobs import (
    CommandError,
    ConnectionOptions,
    ExitCode,
    InputError,
    JobSession,
    OutputError,
    RetryOptions,
    Terminated,
    command_error,
    wait_for_service,
)
from undertone_client.values import Policy, ServedModel
from undertone_telemetry.standard_output import optional_output

from undertone_cli.console import output_console
from undertone_cli.readers import InputSet, Inspection, check_unchanged, inspect_inputs, printable
from undertone_cli.run_folder import FailedParagraphs, Manifest, RunFolder, RunIdentity, ScoreTable, read_failures
from undertone_cli.scoring.display import ThrottledCallback, progress_display, reading_display, show_summary
from undertone_cli.scoring.json_output import json_progress, write_summary
from undertone_cli.scoring.monitor import GetState, RunCounts
from undertone_cli.scoring.options import DEFAULTS, RunOptions
from undertone_cli.scoring.pipeline import Pipeline

MAX_UNAVAILABLE_CALLS = 4
"""Consecutive full calls that may fail with UNAVAILABLE, after all retries, before a run ends."""
REPORT_SECONDS = 1.0
"""Interval of progress reports to the telemetry."""

log = logging.getLogger(__name__)


class ScoringRun:
    """One run of `undertone score` or `undertone replay`. Call `score` or `replay` once.

    Both return FAILED if paragraphs have no score, otherwise OK. They raise UndertoneError if an
    input, the folder or the service cannot be used, and CommandError if a signal ended the run.
    """

    def __init__(
        self,
        session: JobSession,
        connection: ConnectionOptions,
        retry: RetryOptions,
        options: RunOptions,
        folder: RunFolder,
        check_identity: Callable[[RunIdentity], None] | None = None,
    ) -> None:
        """
        Args:
            session: the job.
            connection: the service.
            retry: how calls are retried.
            options: batch size, checkpoints and output.
            folder: where the scores are written.
            check_identity: called before anything is sent. It raises OutputError if the scores
                would not fit elsewhere.
        """
        self._check_identity = check_identity
        self._session = session
        self._options = options
        self._folder = folder
        self._console = Console(stderr=True, quiet=options.quiet or session.log_messages)
        self._pipeline_started = False
        items = options.batch_items
        self._settings = connection.settings(
            batch_items=items, lookahead_items=max(DEFAULTS.lookahead_items, 2 * items), **retry.settings()
        )

    def score(self, inputs: InputSet, policy: Policy, rows_per_part: int, *, overwrite: bool) -> ExitCode:
        """Score all paragraphs of the inputs; `overwrite` deletes the folder's earlier run."""
        self._folder.check_usable()
        self._report_skipped(inputs)
        with reading_display(self._console, inputs) as on_bytes:
            inspection = inspect_inputs(inputs, on_bytes)
        if inspection.paragraphs == 0:
            self._print("The inputs contain no paragraph: the table will be empty.")
        return self._run(self._score(inputs, inspection, policy, rows_per_part, overwrite=overwrite))

    def replay(self) -> ExitCode:
        """Score the dead letters of the folder's complete run again."""
        manifest = self._complete_manifest()
        if self._check_identity is not None and manifest.scored:  # without scores, the ids may have no type
            self._check_identity(manifest.identity)
        if not manifest.failed:
            self._print("There are no dead letters: every paragraph has a score.")
            if self._options.as_json:
                write_summary(self._folder.path, manifest, RunCounts(total=0), CallCounts(), 0.0)
            return ExitCode.OK
        inputs = _recorded_inputs(manifest)
        _check_rereadable(inputs)
        # Not on the event loop, where a signal would have no effect until all inputs are read.
        with reading_display(self._console, inputs) as on_bytes:
            check_unchanged(manifest.identity.sources, on_bytes)
        return self._run(self._replay())

    def _run(self, work: Coroutine[Any, Any, RunCounts]) -> ExitCode:
        if self._session.metrics_url:
            self._print(f"Metrics: {self._session.metrics_url}")
        saved = f"the scores so far are saved in {self._folder.path}; run the same command again to continue"
        try:
            counts = self._session.run_until_signalled(work)
        except KeyboardInterrupt:
            raise CommandError(f"interrupted; {saved}", ExitCode.INTERRUPTED) from None
        except Terminated:
            raise CommandError(f"terminated; {saved}", ExitCode.TERMINATED) from None
        except (UnavailableError, DeadlineExceededError) as error:
            if not self._pipeline_started:
                raise
            message = command_error(error, self._session.target).format_message()
            raise CommandError(f"{message} {saved[0].upper()}{saved[1:]}.", ExitCode.UNREACHABLE) from None
        if not counts.failed:
            return ExitCode.OK
        paragraphs = "1 paragraph has" if counts.failed == 1 else f"{counts.failed:,} paragraphs have"
        self._session.reporter.mark_failed(f"{paragraphs} no score, see {self._folder.failures}")
        return ExitCode.FAILED

    async def _score(
        self, inputs: InputSet, inspection: Inspection, policy: Policy, rows_per_part: int, *, overwrite: bool
    ) -> RunCounts:
        counts = RunCounts(total=inspection.paragraphs)
        # Before the wait for the service: the autoscaler starts pods for the backlog.
        self._report(counts)
        served = await self._served_model()
        identity = RunIdentity(
            inspection.fingerprints,
            inputs.options,
            rows_per_part,
            served.model,
            served.labels,
            policy,
            inspection.types,
            served.problem_type,
            served.thresholds,
        )
        if self._check_identity is not None and inspection.paragraphs != 0:  # no ids have no type
            ScoreTable(identity)  # checks the names of the columns
            self._check_identity(identity)
        with self._folder.locked():
            if overwrite:
                self._folder.clear()
            await self._run_pipeline(self._started_manifest(identity), inputs, counts, None)
        return counts

    async def _replay(self) -> RunCounts:
        served = await self._served_model()
        with self._folder.locked():
            manifest = self._complete_manifest()
            self._check_model(manifest, served)
            failed = FailedParagraphs(read_failures(self._folder), manifest.shards, manifest.identity.rows_per_part)
            counts = RunCounts(total=manifest.failed)
            await self._run_pipeline(manifest, _recorded_inputs(manifest), counts, failed)
        return counts

    async def _served_model(self) -> ServedModel:
        return await wait_for_service(self._session.target, self._settings, self._print)

    async def _run_pipeline(
        self, manifest: Manifest, inputs: InputSet, counts: RunCounts, failed: FailedParagraphs | None
    ) -> None:
        start = time.monotonic()
        self._pipeline_started = True
        async with self._session.client(self._settings) as client:
            with (
                self._progress_display(counts) as display,
                self._progress_reports(counts) as report,
            ):

                def on_change(counts: RunCounts, get_state: GetState) -> None:
                    display(counts, get_state)
                    report(counts, get_state)

                pipeline = Pipeline(
                    self._folder,
                    manifest,
                    inputs,
                    counts,
                    client,
                    replay=failed,
                    on_change=on_change,
                    checkpoint_seconds=self._options.checkpoint,
                    max_unavailable=self._options.batch_items * MAX_UNAVAILABLE_CALLS,
                )
                manifest = await pipeline.run()
            self._report_grown(pipeline.grown)
            calls = client.state().counts
        seconds = time.monotonic() - start
        if self._options.as_json:
            write_summary(self._folder.path, manifest, counts, calls, seconds)
            return
        stdout = output_console(quiet=self._options.quiet)
        # The scores are complete, even if the summary cannot be written.
        with optional_output():
            show_summary(stdout, self._folder.path, manifest, counts, calls, seconds)

    def _progress_display(self, counts: RunCounts) -> AbstractContextManager[ThrottledCallback]:
        if self._options.as_json:
            return nullcontext(json_progress(time.monotonic))
        return progress_display(self._console, counts, print_line=self._print)

    @contextmanager
    def _progress_reports(self, counts: RunCounts) -> Iterator[ThrottledCallback]:
        """Reports the progress to the telemetry. The last report follows the end of the run."""

        try:
            yield ThrottledCallback(lambda counts, state: self._report(counts), REPORT_SECONDS)
        finally:
            self._report(counts)

    def _report(self, counts: RunCounts) -> None:
        warning = self._session.reporter.report_progress(
            counts.outcomes, counts.to_score, tokens_per_paragraph=counts.tokens_per_paragraph
        )
        if warning is not None and not self._session.log_messages:  # else the reporter has logged it
            self._print(f"The job will be late: {warning}")

    def _started_manifest(self, identity: RunIdentity) -> Manifest:
        """The manifest of the folder. Its run must have this identity. A new folder gets one."""
        manifest = self._folder.read_manifest()
        if manifest is None:
            manifest = Manifest(identity, started_at=datetime.now(UTC))
            self._folder.write_manifest(manifest)
        elif differences := list(manifest.identity.differences(identity)):
            listed = "\n  ".join(differences)
            raise OutputError(
                f"{self._folder.path} contains another run. Inputs, options or model differ:\n  {listed}\n"
                "Use another --out, or discard the recorded run with --overwrite"
            )
        elif manifest.identity != identity:  # the inputs have moved; a replay reads them at their new place
            manifest = replace(manifest, identity=identity)
            self._folder.write_manifest(manifest)
        return manifest

    def _complete_manifest(self) -> Manifest:
        manifest = self._folder.manifest()
        if not manifest.complete:
            raise OutputError(
                f"the run in {self._folder.path} is not complete; run the same `undertone score` again: it continues the run "
                "and retries the failures"
            )
        return manifest

    def _check_model(self, manifest: Manifest, served: ServedModel) -> None:
        identity = manifest.identity
        if served.model != identity.model:
            raise OutputError(
                f"{self._folder.path} contains scores of {identity.model}, but {self._session.target} serves {served.model}; "
                f"serve {identity.model}, or score everything into another folder"
            )
        current = replace(identity, labels=served.labels, problem_type=served.problem_type, thresholds=served.thresholds)
        if differences := list(identity.differences(current)):
            listed = "\n  ".join(differences)
            raise OutputError(
                f"{self._folder.path} contains scores of {identity.model}, but {self._session.target} serves a different "
                f"model of this name:\n  {listed}\nServe the recorded model, or score everything into another folder"
            )

    def _report_skipped(self, inputs: InputSet) -> None:
        if skipped := inputs.skipped:
            suffixes = ", ".join(sorted({PurePosixPath(name).suffix or "none" for name in skipped}))
            files = "1 file was" if len(skipped) == 1 else f"{len(skipped):,} files were"
            self._print(f"{files} skipped, because the suffix does not determine the format ({suffixes}); see --format")
        if loops := inputs.loops:
            links = "1 symbolic link was" if len(loops) == 1 else f"{len(loops):,} symbolic links were"
            self._print(f"{links} skipped, because it would lead to the same files again ({printable(loops[0])})")

    def _report_grown(self, names: list[str]) -> None:
        for name in names:
            self._print(f"{name} has grown since the run began: the new part was not scored; score it into another folder")

    def _print(self, text: str) -> None:
        """Print a line to standard error, or log it with --log-format json."""
        if self._session.log_messages and not self._options.quiet:
            log.info(text)
        self._console.print(text, highlight=False, soft_wrap=True)


def _recorded_inputs(manifest: Manifest) -> InputSet:
    """The inputs of a run that was recorded."""
    return InputSet((source.input for source in manifest.identity.sources), manifest.identity.options)


def _check_rereadable(inputs: InputSet) -> None:
    for source in inputs.inputs:
        if not source.rereadable:
            reason = "can be read only once" if source.is_stdin else "no longer exists, or is not a regular file"
            raise InputError(
                f"{source.display_name} {reason}{source.relative_hint}; run the same `undertone score` again with the same "
                "input: it also retries the failures"
            )
