"""The job: a run that makes the table of scores match the source."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sql
from undertone_client import CallCounts, ProblemType, SettingsError, UndertoneError
from undertone_client.jobs import table_properties, wait_for_service

from undertone_batch.config import JobConfig, RunMode
from undertone_batch.connect import uses_connect
from undertone_batch.dataframe import predict
from undertone_batch.deletions import Deletions
from undertone_batch.diff import (
    CHANGING_KINDS,
    DELETING_KINDS,
    KINDS_TO_SCORE,
    PRESENT_KINDS,
    DiffKind,
    RowState,
    TargetState,
    compare,
    kept_columns,
    kept_fields,
)
from undertone_batch.errors import JobError, TooManyFailedError, explain_spark_errors
from undertone_batch.merge import ChangeCounts, count_changes, dead_letters, to_changes
from undertone_batch.schedule import Schedule
from undertone_batch.session import ignore_lost_java
from undertone_batch.summary import ExecutorMetricsParam, Summary, WaveResult
from undertone_batch.table import Commit, ScoreTable, TableState, extended, table_schema
from undertone_batch.tables import open_table
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

        Raises:
            SettingsError: the session is one of Spark Connect.
        """
        if uses_connect(spark):
            raise SettingsError(
                "the session is one of Spark Connect, but a run needs the driver's SparkContext to cancel tasks and to count"
                " calls: start the job with spark-submit. emotions and predict accept Spark Connect"
            )
        spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", ARROW_ROWS)
        spark.conf.set("spark.sql.execution.arrow.maxBytesPerBatch", ARROW_BYTES)
        spark.conf.set("spark.sql.session.timeZone", "UTC")
        spark.conf.set("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
        self._spark = spark
        self._config = config
        self._clock = clock
        self._executors = spark.sparkContext.accumulator({}, ExecutorMetricsParam())
        self._cancelled = False
        self._summary = Summary(config.run_id, config.mode, str(config.table), started_at=clock())

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
    def tokens_per_paragraph(self) -> float | None:
        """Mean tokens of the scored paragraphs of finished tasks; None without any."""
        tasks = tuple(dict(self._executors.value).values())
        scored = sum(metrics.scored for metrics in tasks)
        return sum(metrics.tokens for metrics in tasks) / scored if scored else None

    @property
    def expected_paragraphs(self) -> int | None:
        """The number of paragraphs to score; None before the comparison with the table."""
        return sum(self._summary.kinds.get(kind, 0) for kind in KINDS_TO_SCORE) if self._summary.kinds else None

    def run(self) -> None:
        """Scores wave after wave.

        Raises:
            InputError: the source cannot be read.
            TooManyDeletedError: the source lacks more than `max_deleted_share` of the table's
                paragraphs.
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

    def _run(self) -> None:
        config = self._config
        source = config.source.read(self._spark)
        with closing(open_table(self._spark, config.table, config.catalog, config.layout)) as table:
            self._update(table, source)

    def _update(self, table: ScoreTable, source: DataFrame) -> None:
        config = self._config
        state = table.open()
        schedule = Schedule({}) if config.scheduled is None or state is None else Schedule.read(self._spark, config.table)
        if config.scheduled is not None and config.mark_deleted and (reason := schedule.reason_to_skip(config.scheduled)):
            self._summary = replace(self._summary, skipped=reason)
            log.warning("nothing to do: %s", reason)
            return
        id_type = config.source.id_type(source, None if state is None else state.schema["id"].dataType)
        kept = kept_columns(source)
        # Names are checked before the service.
        if state is None:
            table_schema([], id_type, kept)
        else:
            extended(state.schema, [], kept, multi_label=False)
        served = asyncio.run(
            wait_for_service(config.service.target, config.service.settings, log.info, sleep=self._sleep_until_cancelled)
        )
        multi_label = served.problem_type is ProblemType.MULTI_LABEL
        if state is None:
            state = table.create(table_schema(served.labels, id_type, kept, multi_label=multi_label))
        since = until = None
        if config.mode is RunMode.BACKFILL:
            until = self._summary.started_at
            since = min(state.backfill_began_at or until, until)
        target = TargetState(served.model, config.service.policy, since, until, config.mark_deleted)
        self._summary = replace(self._summary, model=served.model, policy=config.service.policy, snapshot=state.snapshot)
        schema = extended(state.schema, served.labels, kept, multi_label=multi_label)
        waves = list(self._waves(table, source, state, target))
        if waves:
            state = table.add_columns(state, schema)
            if since is not None and state.backfill_began_at is None:
                state = table.begin_backfill(state, since)
        for number, wave in enumerate(waves, start=1):
            title = f"wave {number} of {len(waves)}, {wave.paragraphs:,} paragraphs"
            state = self._score_wave(title, table, source, state, wave, target)
            if self._summary.failed_share > config.max_failed_share:
                raise TooManyFailedError(
                    f"{self._summary.failed:,} paragraphs failed: {self._summary.failed_share:.2%}, but --max-failed-share"
                    f" allows {config.max_failed_share:.2%}. See the table {table.dead_letters_name}"
                )
        state = table.finish(state)
        if since is not None and state.backfill_began_at is not None:
            table.end_backfill(state)
        if config.scheduled is not None:
            schedule.record(self._spark, config.table, config.scheduled)

    async def _sleep_until_cancelled(self, seconds: float) -> None:
        """Sleeps. Raises JobError once the run is cancelled."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not self._cancelled:  # noqa: ASYNC110 - a thread sets it
            await asyncio.sleep(min(left, CANCELLATION_POLL_SECONDS))
        if self._cancelled:
            raise JobError("the run was cancelled")

    def _waves(self, table: ScoreTable, source: DataFrame, state: TableState, target: TargetState) -> Iterator[Wave]:
        with self._step("comparing the source with the table"):
            comparison = self._compare(table, source, state, target)
            has_row = sql.count_if(sql.col("row") != RowState.NONE.value)
            unmarked = sql.count_if(sql.col("row") == RowState.CURRENT.value)
            groups = comparison.groupBy("bucket", "kind").agg(sql.count("*"), sql.sum("copies"), has_row, unmarked).collect()
        kinds: Counter[DiffKind] = Counter()
        to_score: Counter[int] = Counter()
        duplicates = rows = unmarked_rows = deleted = 0
        for bucket, name, paragraphs, copies, group_rows, group_unmarked in groups:
            kind = DiffKind(name)
            rows += group_rows
            unmarked_rows += group_unmarked
            deleted += group_unmarked if kind in DELETING_KINDS else 0
            # Invalid rows cannot be identified reliably, so each copy counts.
            kinds[kind] += copies if kind is DiffKind.INVALID else paragraphs
            duplicates += copies - paragraphs if copies and kind is not DiffKind.INVALID else 0
            if kind in CHANGING_KINDS:
                to_score[bucket] += paragraphs if kind in KINDS_TO_SCORE else 0
        self._summary = replace(self._summary, kinds=kinds, duplicates=duplicates, rows=rows)
        present = sum(kinds[kind] for kind in PRESENT_KINDS)
        Deletions(deleted, unmarked_rows, present).check(self._config.max_deleted_share)
        return divide(to_score, self._config.wave_rows)

    def _score_wave(
        self, title: str, table: ScoreTable, source: DataFrame, state: TableState, wave: Wave, target: TargetState
    ) -> TableState:
        start = self._clock()
        with ExitStack() as stack:
            with self._step(f"{title}: scoring"):
                comparison = self._compare(table, source, state, target, wave.buckets)
                to_change = comparison.where(sql.col("kind").isin(*CHANGING_KINDS))
                # Paragraphs with a null text are not sent.
                to_send = to_change.withColumn("text", sql.when(sql.col("kind").isin(*KINDS_TO_SCORE), sql.col("text")))
                tasks = to_send.repartition(wave.task_count(self._spark.sparkContext.defaultParallelism), "id")
                predicted = predict(tasks, self._config.service, metrics=self._executors)
                changes = stack.enter_context(table.stage(to_changes(predicted, target, start, state.schema)))
            kept = [field.name for field in kept_fields(source)]
            with self._step(f"{title}: merging"):
                counts = count_changes(changes)
                letters = dead_letters(changes, self._config.run_id, start)
                table.write_dead_letters(letters, counts.failed, self._config.run_id, wave.buckets)
                rows = self._summary.rows + counts.added
                snapshot = None
                if counts.changes:
                    properties = self._snapshot_properties(counts, state)
                    state = table.commit(state, Commit(changes, wave.buckets, start, rows, properties, kept))
                    snapshot = state.snapshot
        seconds = (self._clock() - start).total_seconds()
        result = WaveResult(snapshot, counts.scored, counts.failed, seconds)
        self._summary = replace(self._summary, waves=(*self._summary.waves, result), snapshot=state.snapshot, rows=rows)
        log.info("%s: %d scored, %d failed, %.1f s", title, counts.scored, counts.failed, seconds)
        return state

    def _snapshot_properties(self, counts: ChangeCounts, state: TableState) -> dict[str, str]:
        properties = {
            table_properties.RUN_ID: self._config.run_id,
            table_properties.MODE: self._config.mode.value,
            table_properties.MODEL: str(self._summary.model),
            table_properties.POLICY: self._config.service.policy.value,
            table_properties.SCORED: str(counts.scored),
            table_properties.FAILED: str(counts.failed),
        }
        if state.backfill_began_at is not None:
            properties[table_properties.BACKFILL_BEGAN_AT] = state.backfill_began_at.isoformat()
        return properties

    def _compare(
        self,
        table: ScoreTable,
        source: DataFrame,
        state: TableState,
        target: TargetState,
        buckets: tuple[int, ...] | None = None,
    ) -> DataFrame:
        paragraphs = self._config.source.paragraphs(source, state.schema["id"].dataType)
        if buckets is not None:
            paragraphs = paragraphs.where(table.bucket("id").isin(*buckets))
        return compare(paragraphs, table.rows(state, buckets), target).withColumn("bucket", table.bucket("id"))

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
            with ignore_lost_java():  # the body's exception says so
                context.setJobDescription(None)  # type: ignore[arg-type]  # Spark accepts None
