"""The job: one run that brings the table of scores in line with the source."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sql
from undertone_client import CallCounts, Client, Mode, ServedModel, UndertoneError
from undertone_client.jobs import OutputError

from undertone_batch.errors import JobError, TooManyFailedError, spark_explained
from undertone_batch.merge import change_counts, dead_letters, merge, settled
from undertone_batch.order import Order
from undertone_batch.plan import CHANGING, SCORED, Aim, Kind, RunMode, compare
from undertone_batch.predict import predict
from undertone_batch.service import Service
from undertone_batch.summary import Summary, WaveResult
from undertone_batch.table import Table, bucket_of
from undertone_batch.task_metrics import ExecutorMetricsParam
from undertone_batch.version import Version
from undertone_batch.waves import Wave, waves

ARROW_ROWS = 1024
"""Rows of an Arrow batch: some calls' worth, so that the first call need not wait for thousands of rows."""

ARROW_BYTES = 8_000_000
"""And bytes, about: as many rows of long paragraphs would be more than a worker is meant to hold."""

log = logging.getLogger("undertone_batch")


class Job:
    """Runs an order. Used once.

    Every wave ends with a commit, so that whatever ends the run, the table is that of the last commit: whole, and fit for use.

    Args:
        spark: the session; its time zone and the bounds of Arrow batches are set for the run.
        order: what to do.
        clock: the time.
    """

    def __init__(self, spark: SparkSession, order: Order, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", ARROW_ROWS)
        spark.conf.set("spark.sql.execution.arrow.maxBytesPerBatch", ARROW_BYTES)
        spark.conf.set("spark.sql.session.timeZone", "UTC")
        spark.conf.set("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
        self._spark = spark
        self._order = order
        self._clock = clock
        self._table = Table(spark, order.table)
        self._executors = spark.sparkContext.accumulator({}, ExecutorMetricsParam())
        self._cancelled = False
        self._summary = Summary(order.run, order.mode, self._table.path, started_at=clock())

    @property
    def summary(self) -> Summary:
        """What was found and done; complete once `run` has returned or raised."""
        return self._summary

    @property
    def outcomes(self) -> dict[str, int]:
        """Paragraphs with an outcome, by the name of its gRPC status code: what tasks that have finished say until now.

        Tasks that were killed add nothing, and speculative copies what they did, too; the summary counts the table's files.
        """
        done = tuple(dict(self._executors.value).values())  # a copy: another thread adds to it
        calls = sum((metrics.calls for metrics in done), CallCounts())
        return {"OK": sum(metrics.scored for metrics in done), **calls.skipped}

    @property
    def wanted(self) -> int | None:
        """Paragraphs that are to be scored; None until the source has been compared with the table."""
        return sum(self._summary.kinds.get(kind, 0) for kind in SCORED) if self._summary.kinds else None

    def run(self) -> None:
        """Score what is to be scored, wave by wave.

        Raises:
            InputError: the source cannot be read.
            OutputError: the table cannot be read or written, or another run is at work on it.
            ServiceError: the service does not answer.
            JobError: Spark gave up, or the run was cancelled.
            TooManyFailedError: more than `max_failed_share` failed. What was scored until then is in the table.
        """
        try:
            with self._uncancelled(), spark_explained():
                self._work()
        except BaseException as error:
            self._summary = replace(self._summary, error=str(error) or type(error).__name__)
            raise
        finally:
            self._summary = replace(self._summary, executors=dict(self._executors.value), finished_at=self._clock())
            if self._summary.model is not None:  # else nothing has begun, and the table's folder may be a mistake
                self._report()

    def cancel(self) -> None:
        """End the run, from another thread: what is under way is given up, and nothing begins any more."""
        self._cancelled = True
        self._spark.sparkContext.cancelAllJobs()

    @contextmanager
    def _uncancelled(self) -> Iterator[None]:
        try:
            yield
        except UndertoneError:
            if self._cancelled:  # whatever came of that
                raise JobError("the run was cancelled; what it has committed before is in the table") from None
            raise

    def _report(self) -> None:
        try:
            self._table.write_summary(self._order.run, self._summary.to_json())
        except OutputError as error:
            log.warning("the summary could not be kept: %s", error)

    def _work(self) -> None:
        order = self._order
        source = order.source.open(self._spark)
        version = self._table.current() or Version(0, order.bucket_count, (), order.run, self._summary.started_at)
        served = asyncio.run(_first_contact(order.service))
        since = None
        if order.mode is RunMode.BACKFILL:
            since = version.backfill_began_at or self._summary.started_at
        aim = Aim(served.model, order.service.policy, since, order.mark_deleted)
        self._summary = replace(
            self._summary, model=served.model, policy=order.service.policy, version=version.number, rows=version.rows
        )
        self._table.write_summary(order.run, self._summary.to_json())  # an unwritable table is found before anything is scored
        version = version.with_labels(served.labels)
        plan = list(self._plan(source, version, aim))
        for number, wave in enumerate(plan, start=1):
            title = f"wave {number} of {len(plan)}, {wave.paragraphs:,} paragraphs"
            version = self._wave(title, source, version, wave, aim)
            if self._summary.failed_share > order.max_failed_share:
                raise TooManyFailedError(
                    f"{self._summary.failed:,} paragraphs have no score, {self._summary.failed_share:.2%} of those that should;"
                    f" --max-failed-share allows {order.max_failed_share:.2%}. See {self._table.path}/dead-letters"
                )
        if version.number == 0 or (since is not None and version.backfill_began_at is not None):
            self._commit(version.followed_by({}, order.run, self._clock()))
        self._table.tidy(order.run)

    def _plan(self, source: DataFrame, version: Version, aim: Aim) -> Iterator[Wave]:
        with self._described("comparing the source with the table"):
            compared = self._compared(source, version, None, aim)
            found = compared.groupBy("bucket", "kind").agg(sql.count("*"), sql.sum("copies")).collect()
        kinds: Counter[Kind] = Counter()
        to_score: Counter[int] = Counter()
        duplicates = 0
        for bucket, name, paragraphs, copies in found:
            kind = Kind(name)
            # Which of invalid rows are the same paragraph, nobody knows: each counts.
            kinds[kind] += copies if kind is Kind.INVALID else paragraphs
            duplicates += copies - paragraphs if copies and kind is not Kind.INVALID else 0
            if kind in CHANGING:
                to_score[bucket] += paragraphs if kind in SCORED else 0
        self._summary = replace(self._summary, kinds=kinds, duplicates=duplicates)
        return waves(to_score, self._order.wave_rows)

    def _wave(self, title: str, source: DataFrame, version: Version, wave: Wave, aim: Aim) -> Version:
        began = self._clock()
        folder = f"{version.number + 1:08d}-{self._order.run}"
        with self._described(f"{title}: scoring"):
            compared = self._compared(source, version, wave.buckets, aim).where(sql.col("kind").isin(*CHANGING))
            # What has no text is not sent.
            sent = compared.withColumn("text", sql.when(sql.col("kind").isin(*SCORED), sql.col("text")))
            tasks = sent.repartition(wave.tasks(self._spark.sparkContext.defaultParallelism), "id")
            scored = predict(tasks, self._order.service, metrics=self._executors)
            changes = self._table.stage(settled(scored, aim, began), folder)
        with self._described(f"{title}: merging"):
            counts = change_counts(changes)
            merged = merge(self._rows(version, wave.buckets), changes, version.labels, began)
            buckets = self._table.write(merged, folder, wave.buckets)
            version.check(buckets, counts.added)
            if counts.failed:
                self._table.write_dead_letters(dead_letters(changes), folder)
        # A daily run does not end a backfill that was stopped.
        backfill_began_at = aim.since or version.backfill_began_at
        following = self._commit(version.followed_by(buckets, self._order.run, self._clock(), backfill_began_at))
        seconds = (self._clock() - began).total_seconds()
        result = WaveResult(following.number, counts.scored, counts.failed, seconds)
        self._summary = replace(self._summary, waves=(*self._summary.waves, result))
        log.info("%s: %d scored, %d failed, %.1f s", title, counts.scored, counts.failed, seconds)
        return following

    def _commit(self, version: Version) -> Version:
        self._table.commit(version)
        self._summary = replace(self._summary, version=version.number, rows=version.rows)
        return version

    def _compared(self, source: DataFrame, version: Version, buckets: tuple[int, ...] | None, aim: Aim) -> DataFrame:
        paragraphs = self._order.source.paragraphs(source, version.bucket_count)
        if buckets is not None:
            paragraphs = paragraphs.where(sql.col("bucket").isin(*buckets))
        return compare(paragraphs, self._rows(version, buckets), aim)

    def _rows(self, version: Version, buckets: tuple[int, ...] | None) -> DataFrame:
        return self._table.read(version, buckets).withColumn("bucket", bucket_of(sql.col("id"), version.bucket_count))

    @contextmanager
    def _described(self, what: str) -> Iterator[None]:
        """Spark's page shows what its jobs are for."""
        if self._cancelled:
            raise JobError("the run was cancelled")
        context = self._spark.sparkContext
        context.setJobDescription(f"undertone {self._order.mode} {self._order.run}, {what}")
        log.info("%s", what)
        try:
            yield
        finally:
            context.setJobDescription(None)  # type: ignore[arg-type]  # Spark takes None, to say nothing


async def _first_contact(service: Service) -> ServedModel:
    # Online: whoever has just started the run wants to hear soon that nobody answers.
    async with Client(service.target, settings=replace(service.settings, mode=Mode.ONLINE)) as client:
        return await client.model()
