"""The job: a run that makes the table of scores match the source."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sql
from undertone_client import CallCounts, UndertoneError
from undertone_client.jobs import OutputError, wait_for_service

from undertone_batch.config import JobConfig, RunMode
from undertone_batch.dataframe import predict
from undertone_batch.diff import CHANGING_KINDS, KINDS_TO_SCORE, DiffKind, TargetState, compare
from undertone_batch.errors import JobError, TooManyFailedError, explain_spark_errors
from undertone_batch.merge import count_changes, dead_letters, merge, to_changes
from undertone_batch.summary import ExecutorMetricsParam, Summary, WaveResult
from undertone_batch.table import Table, bucket_of
from undertone_batch.version import Version
from undertone_batch.waves import Wave, divide

ARROW_ROWS = 1024
"""Rows of an Arrow batch. Few, so that the first call does not wait for thousands of rows."""

ARROW_BYTES = 8_000_000
"""The approximate maximum of an Arrow batch, for long paragraphs."""

CANCELLATION_POLL_SECONDS = 0.2
"""How often a run that waits for the service looks whether it was cancelled."""

log = logging.getLogger("undertone_batch")


class ScoringJob:
    """One run, in waves that each end with a commit. A stopped run keeps its commits."""

    def __init__(
        self, spark: SparkSession, config: JobConfig, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """
        Args:
            spark: The session. Its time zone and its Arrow settings are changed.
            config: What to do.
            clock: Returns the time.
        """
        spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", ARROW_ROWS)
        spark.conf.set("spark.sql.execution.arrow.maxBytesPerBatch", ARROW_BYTES)
        spark.conf.set("spark.sql.session.timeZone", "UTC")
        spark.conf.set("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
        self._spark = spark
        self._config = config
        self._clock = clock
        self._table = Table(spark, config.table)
        self._executors = spark.sparkContext.accumulator({}, ExecutorMetricsParam())
        self._cancelled = False
        self._summary = Summary(config.run_id, config.mode, self._table.path, started_at=clock())

    @property
    def summary(self) -> Summary:
        """The summary so far; complete once `run` has returned or raised."""
        return self._summary

    @property
    def finished_paragraphs(self) -> dict[str, int]:
        """The paragraphs of finished tasks, by the name of their gRPC status code.

        An estimate: killed tasks add nothing, and speculative copies add their paragraphs, too.
        """
        tasks = tuple(dict(self._executors.value).values())  # a copy: another thread adds to it
        calls = sum((metrics.calls for metrics in tasks), CallCounts())
        return {"OK": sum(metrics.scored for metrics in tasks), **calls.failed_paragraphs}

    @property
    def expected_paragraphs(self) -> int | None:
        """The number of paragraphs to score; None before the comparison with the table."""
        return sum(self._summary.kinds.get(kind, 0) for kind in KINDS_TO_SCORE) if self._summary.kinds else None

    def run(self) -> None:
        """Scores wave after wave.

        Raises:
            InputError: the source cannot be read.
            OutputError: the table cannot be read or written, or another run writes to it.
            ServiceError: the service does not answer.
            JobError: Spark failed, or the run was cancelled.
            TooManyFailedError: more than `max_failed_share` failed. The scores are committed.
        """
        try:
            with self._explain_cancellation(), explain_spark_errors():
                self._run()
        except BaseException as error:
            self._summary = replace(self._summary, error=str(error) or type(error).__name__)
            raise
        finally:
            self._summary = replace(self._summary, executors=dict(self._executors.value), finished_at=self._clock())
            if self._summary.model is not None:  # otherwise nothing was written, and the folder may be a mistake
                self._write_summary()

    def cancel(self) -> None:
        """Stops the run, from another thread."""
        self._cancelled = True
        self._spark.sparkContext.cancelAllJobs()

    @contextmanager
    def _explain_cancellation(self) -> Iterator[None]:
        try:
            yield
        except UndertoneError:
            if self._cancelled:  # the error is a consequence
                raise JobError("the run was cancelled; the scores of earlier commits are in the table") from None
            raise

    def _write_summary(self) -> None:
        try:
            self._table.write_summary(self._config.run_id, self._summary.to_json())
        except OutputError as error:
            log.warning("the summary cannot be written: %s", error)

    def _run(self) -> None:
        config = self._config
        source = config.source.read(self._spark)
        version = self._table.current() or Version(0, config.bucket_count, (), config.run_id, self._summary.started_at)
        served = asyncio.run(
            wait_for_service(config.service.target, config.service.settings, log.info, sleep=self._sleep_until_cancelled)
        )
        since = None
        if config.mode is RunMode.BACKFILL:
            since = version.backfill_began_at or self._summary.started_at
        target = TargetState(served.model, config.service.policy, since, config.mark_deleted)
        self._summary = replace(
            self._summary, model=served.model, policy=config.service.policy, version=version.number, rows=version.rows
        )
        # Reports a table that cannot be written before anything is scored.
        self._table.write_summary(config.run_id, self._summary.to_json())
        version = version.with_labels(served.labels)
        waves = list(self._waves(source, version, target))
        for number, wave in enumerate(waves, start=1):
            title = f"wave {number} of {len(waves)}, {wave.paragraphs:,} paragraphs"
            version = self._score_wave(title, source, version, wave, target)
            if self._summary.failed_share > config.max_failed_share:
                raise TooManyFailedError(
                    f"{self._summary.failed:,} paragraphs failed: {self._summary.failed_share:.2%}, but --max-failed-share"
                    f" allows {config.max_failed_share:.2%}. See {self._table.path}/dead-letters"
                )
        if version.number == 0 or (since is not None and version.backfill_began_at is not None):
            self._commit(version.successor({}, config.run_id, self._clock()))
        self._table.vacuum(config.run_id)

    async def _sleep_until_cancelled(self, seconds: float) -> None:
        """Sleeps. Raises JobError once the run is cancelled."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not self._cancelled:  # noqa: ASYNC110 - a thread sets it
            await asyncio.sleep(min(left, CANCELLATION_POLL_SECONDS))
        if self._cancelled:
            raise JobError("the run was cancelled")

    def _waves(self, source: DataFrame, version: Version, target: TargetState) -> Iterator[Wave]:
        with self._step("comparing the source with the table"):
            comparison = self._compare(source, version, None, target)
            groups = comparison.groupBy("bucket", "kind").agg(sql.count("*"), sql.sum("copies")).collect()
        kinds: Counter[DiffKind] = Counter()
        to_score: Counter[int] = Counter()
        duplicates = 0
        for bucket, name, paragraphs, copies in groups:
            kind = DiffKind(name)
            # Invalid rows cannot be identified reliably, so each copy counts.
            kinds[kind] += copies if kind is DiffKind.INVALID else paragraphs
            duplicates += copies - paragraphs if copies and kind is not DiffKind.INVALID else 0
            if kind in CHANGING_KINDS:
                to_score[bucket] += paragraphs if kind in KINDS_TO_SCORE else 0
        self._summary = replace(self._summary, kinds=kinds, duplicates=duplicates)
        return divide(to_score, self._config.wave_rows)

    def _score_wave(self, title: str, source: DataFrame, version: Version, wave: Wave, target: TargetState) -> Version:
        start = self._clock()
        folder = f"{version.number + 1:08d}-{self._config.run_id}"
        with self._step(f"{title}: scoring"):
            comparison = self._compare(source, version, wave.buckets, target).where(sql.col("kind").isin(*CHANGING_KINDS))
            # Paragraphs with a null text are not sent.
            to_send = comparison.withColumn("text", sql.when(sql.col("kind").isin(*KINDS_TO_SCORE), sql.col("text")))
            tasks = to_send.repartition(wave.task_count(self._spark.sparkContext.defaultParallelism), "id")
            predicted = predict(tasks, self._config.service, metrics=self._executors)
            changes = self._table.stage(to_changes(predicted, target, start), folder)
        with self._step(f"{title}: merging"):
            counts = count_changes(changes)
            merged = merge(self._rows(version, wave.buckets), changes, version.labels, start)
            buckets = self._table.write(merged, folder, wave.buckets)
            version.check_rows(buckets, counts.added)
            if counts.failed:
                self._table.write_dead_letters(dead_letters(changes), folder)
        # A daily run does not end a backfill that was stopped.
        backfill_began_at = target.since or version.backfill_began_at
        successor = self._commit(version.successor(buckets, self._config.run_id, self._clock(), backfill_began_at))
        seconds = (self._clock() - start).total_seconds()
        result = WaveResult(successor.number, counts.scored, counts.failed, seconds)
        self._summary = replace(self._summary, waves=(*self._summary.waves, result))
        log.info("%s: %d scored, %d failed, %.1f s", title, counts.scored, counts.failed, seconds)
        return successor

    def _commit(self, version: Version) -> Version:
        self._table.commit(version)
        self._summary = replace(self._summary, version=version.number, rows=version.rows)
        return version

    def _compare(self, source: DataFrame, version: Version, buckets: tuple[int, ...] | None, target: TargetState) -> DataFrame:
        paragraphs = self._config.source.paragraphs(source, version.bucket_count)
        if buckets is not None:
            paragraphs = paragraphs.where(sql.col("bucket").isin(*buckets))
        return compare(paragraphs, self._rows(version, buckets), target)

    def _rows(self, version: Version, buckets: tuple[int, ...] | None) -> DataFrame:
        return self._table.read(version, buckets).withColumn("bucket", bucket_of(sql.col("id"), version.bucket_count))

    @contextmanager
    def _step(self, step: str) -> Iterator[None]:
        """Logs a step of the run, and shows it in Spark's UI while the body runs.

        Raises:
            JobError: the run was cancelled.
        """
        if self._cancelled:
            raise JobError("the run was cancelled")
        context = self._spark.sparkContext
        context.setJobDescription(f"undertone {self._config.mode} {self._config.run_id}, {step}")
        log.info("%s", step)
        try:
            yield
        finally:
            context.setJobDescription(None)  # type: ignore[arg-type]  # Spark accepts None
