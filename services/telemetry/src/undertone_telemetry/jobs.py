"""Events, metrics and reporting of jobs: start, progress, success or failure."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from undertone_telemetry.dispatch import Adapter, EventDispatcher, Signal, count_errors
from undertone_telemetry.forecast import Forecast, Forecaster
from undertone_telemetry.metrics import Kind, Level, Measurement, Metric, Notification
from undertone_telemetry.periodic import PeriodicThread
from undertone_telemetry.settings import TelemetrySettings
from undertone_telemetry.telemetry import Telemetry

PUSH_SECONDS: Final = 15.0
"""The interval between pushes: Prometheus' usual scrape interval."""

LAST_PUSH_TIMEOUT_SECONDS: Final = 5.0
"""Maximum time that the end of a job waits for a Pushgateway that does not answer."""


@dataclass(frozen=True, slots=True)
class JobStarted:
    """The job started `at` seconds since 1970.

    Attributes:
        finish_by: When the job must end, in seconds since 1970; None if it has no such time.
    """

    job: str
    at: float
    finish_by: float | None = None


@dataclass(frozen=True, slots=True)
class JobProgressed:
    """The job made progress.

    Attributes:
        paragraphs: The number of finished paragraphs by the name of their gRPC status code.
        expected: The number of all paragraphs; None while it is unknown.
        tokens_per_paragraph: The mean number of tokens of a scored paragraph; None while unknown.
    """

    job: str
    paragraphs: Mapping[str, int]
    expected: int | None = None
    tokens_per_paragraph: float | None = None

    @property
    def finished(self) -> int:
        """The number of finished paragraphs."""
        return sum(self.paragraphs.values())

    @property
    def backlog(self) -> int | None:
        """The number of paragraphs left; None while it is unknown."""
        return None if self.expected is None else max(self.expected - self.finished, 0)


@dataclass(frozen=True, slots=True)
class JobForecast:
    """The forecast of the job's end has changed.

    Attributes:
        warn: Whether people must know that the job will be late.
    """

    job: str
    forecast: Forecast
    warn: bool


@dataclass(frozen=True, slots=True)
class JobSucceeded:
    """The job succeeded `at` seconds since 1970."""

    job: str
    at: float


@dataclass(frozen=True, slots=True)
class JobFailed:
    """The job failed or was stopped `at` seconds since 1970.

    Attributes:
        reason: Explanation for people, without the text of a paragraph.
    """

    job: str
    at: float
    reason: str


JobEvent = JobStarted | JobProgressed | JobForecast | JobSucceeded | JobFailed

_MAX_REASON_CHARACTERS: Final = 2000
"""Datadog rejects events of more than 8 kB."""

_JOB: Final = ("job",)
_STARTED: Final = Metric(
    "undertone_job_started_timestamp_seconds", Kind.GAUGE, "Start of the job's latest run, in seconds since 1970.", _JOB
)
_SUCCEEDED: Final = Metric(
    "undertone_job_last_success_timestamp_seconds",
    Kind.GAUGE,
    "End of the job's latest successful run, in seconds since 1970.",
    _JOB,
)
_RUNNING: Final = Metric("undertone_job_running", Kind.GAUGE, "1 while the job runs, then 0.", _JOB)
_PARAGRAPHS: Final = Metric(
    "undertone_job_paragraphs_total", Kind.COUNTER, "Finished paragraphs. Code OK means that there is a score.", (*_JOB, "code")
)
_EXPECTED: Final = Metric(
    "undertone_job_expected_paragraphs", Kind.GAUGE, "Paragraphs that the job has to score. Absent while unknown.", _JOB
)
_BACKLOG: Final = Metric(
    "undertone_job_backlog_paragraphs", Kind.GAUGE, "Paragraphs that the job has not finished. 0 while unknown.", _JOB
)
_BACKLOG_TOKENS: Final = Metric(
    "undertone_job_backlog_tokens",
    Kind.GAUGE,
    "Estimated tokens of these paragraphs: their number times the mean of the scored ones. 0 while unknown.",
    _JOB,
)
_FINISH_BY: Final = Metric(
    "undertone_job_finish_by_timestamp_seconds",
    Kind.GAUGE,
    "Time of --finish-by, in seconds since 1970. 0 without --finish-by.",
    _JOB,
)
_FORECAST: Final = Metric(
    "undertone_job_forecast_end_timestamp_seconds",
    Kind.GAUGE,
    "End of the job at the rate of the last 5 minutes, in seconds since 1970. 0 while unknown, and without --finish-by.",
    _JOB,
)
_FAILED: Final = Metric("undertone_job_failed_total", Kind.COUNTER, "Failed runs.", _JOB)

CATALOGUE: Final = (
    _STARTED,
    _SUCCEEDED,
    _RUNNING,
    _PARAGRAPHS,
    _EXPECTED,
    _BACKLOG,
    _BACKLOG_TOKENS,
    _FINISH_BY,
    _FORECAST,
    _FAILED,
)

_WARNING_SECONDS: Final = 1800.0
"""The interval between warnings that a job will be late."""


class JobMetrics:
    """Converts the events of one job into signals. It is not thread-safe."""

    def __init__(self) -> None:
        self._counted: Counter[str] = Counter()
        self._started_at = 0.0

    def __call__(self, event: JobEvent) -> Iterator[Signal]:
        job = (event.job,)
        match event:
            case JobStarted():
                self._started_at = event.at
                yield Measurement(_STARTED, event.at, job)
                yield Measurement(_RUNNING, 1, job)
                # A counter that starts at 1 shows no increase to Prometheus.
                yield Measurement(_FAILED, 0, job)
                yield Measurement(_PARAGRAPHS, 0, (*job, "OK"))
                # A Pushgateway keeps the values of the previous run until there are new ones.
                yield Measurement(_BACKLOG, 0, job)
                yield Measurement(_BACKLOG_TOKENS, 0, job)
                yield Measurement(_FINISH_BY, event.finish_by or 0, job)
                yield Measurement(_FORECAST, 0, job)
                yield _notification(event, "started", Level.INFO, "")
            case JobProgressed():
                if event.expected is not None:
                    yield Measurement(_EXPECTED, event.expected, job)
                if event.backlog is not None:
                    yield Measurement(_BACKLOG, event.backlog, job)
                    if event.tokens_per_paragraph is not None:
                        yield Measurement(_BACKLOG_TOKENS, round(event.backlog * event.tokens_per_paragraph), job)
                for code, count in event.paragraphs.items():
                    if increase := count - self._counted[code]:
                        self._counted[code] = count
                        yield Measurement(_PARAGRAPHS, increase, (*job, code))
            case JobForecast():
                yield Measurement(_FORECAST, event.forecast.ends_at, job)
                if event.warn:
                    yield _notification(event, "will be late", Level.WARNING, event.forecast.explanation)
            case JobSucceeded():
                yield Measurement(_RUNNING, 0, job)
                yield Measurement(_SUCCEEDED, event.at, job)
                yield _notification(event, "succeeded", Level.SUCCESS, self._summary(event.at))
            case JobFailed():
                yield Measurement(_RUNNING, 0, job)
                yield Measurement(_FAILED, 1, job)
                reason = event.reason[:_MAX_REASON_CHARACTERS]
                yield _notification(event, "failed", Level.ERROR, f"{reason}\n{self._summary(event.at)}")

    def _summary(self, at: float) -> str:
        counts = ", ".join(f"{count:,} {code}" for code, count in self._counted.most_common()) or "none"
        return f"paragraphs: {counts}; {at - self._started_at:,.0f} s"


def _notification(event: JobEvent, what: str, level: Level, text: str) -> Notification:
    return Notification(f"undertone job {event.job} {what}", text, level, (("job", event.job),))


def _class_name(error: BaseException) -> str:
    return type(error).__name__  # the message might quote a paragraph


class JobReporter:
    """A context manager around a job: reports its start, and its success or failure.

    A job fails by an exception or by `mark_failed`. An unreachable backend never fails the job; it
    delays the job's end by a few seconds at most.

    Attributes:
        telemetry: The adapters, for listeners of the job's other events.
    """

    def __init__(
        self,
        settings: TelemetrySettings,
        job: str,
        catalogue: Iterable[Metric] = (),
        *,
        adapters: Sequence[Adapter] = (),
        explain: Callable[[BaseException], str] = _class_name,
        finish_by: float | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """
        Args:
            settings: Which adapters to use.
            job: The name of the job: the label of its metrics and their group in the Pushgateway.
            catalogue: Metrics that are recorded besides the job's own.
            adapters: Further adapters for the job's events.
            explain: Describes why the job failed, without the text of paragraphs.
            finish_by: When the job must end, in seconds since 1970. The adapters receive a warning
                if it will be late.
            now: Returns seconds since 1970.
        """
        self.telemetry = Telemetry(settings, (*catalogue, *CATALOGUE))
        self._settings = settings
        self._job = job
        self._adapters = (*self.telemetry.adapters, *adapters)
        self._explain = explain
        self._now = now
        self._dispatch: EventDispatcher[JobEvent] = EventDispatcher(JobMetrics(), self._adapters)
        self._lock = threading.Lock()
        self._reason: str | None = None
        self._finish_by = finish_by
        self._forecaster = None if finish_by is None else Forecaster(finish_by)
        self._warned_at: float | None = None
        self._push_thread: PeriodicThread | None = None

    def __enter__(self) -> Self:
        """Raises TelemetryError if the port for metrics cannot be opened."""
        try:
            self.telemetry.start()
        except BaseException:
            self.telemetry.close()
            raise
        self._emit(JobStarted(self._job, self._now(), self._finish_by))
        if self._settings.pushgateway and self.telemetry.prometheus is not None:
            from undertone_telemetry.prometheus import PushgatewayPusher

            push = PushgatewayPusher(
                self._settings.pushgateway,
                self._job,
                self.telemetry.prometheus,
                CATALOGUE,
                self._count_failed_push,
                namespace=self._settings.pushgateway_namespace,
            )
            self._push_thread = PeriodicThread(push, PUSH_SECONDS)
            self._push_thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if error is not None:
            self.mark_failed(self._explain(error))
        if self._reason is None:
            self._emit(JobSucceeded(self._job, self._now()))
        else:
            self._emit(JobFailed(self._job, self._now(), self._reason))
        if self._push_thread is not None:
            self._push_thread.stop(LAST_PUSH_TIMEOUT_SECONDS)
        self.telemetry.close()

    def report_progress(
        self, paragraphs: Mapping[str, int], expected: int | None = None, *, tokens_per_paragraph: float | None = None
    ) -> str | None:
        """Reports progress; see `JobProgressed`.

        Thread-safe. Meant to be called every few seconds.

        Returns:
            A new warning that the job will be late. The adapters have received it.
        """
        progress = JobProgressed(self._job, paragraphs, expected, tokens_per_paragraph)
        with self._lock:
            self._dispatch(progress)
            # Before the first paragraph, the job waits for the service.
            if self._forecaster is None or progress.backlog is None or not progress.finished:
                return None
            forecast = self._forecaster.observe(self._now(), progress.finished, progress.backlog)
            if forecast is None:
                return None
            warn = forecast.late and (self._warned_at is None or forecast.at - self._warned_at >= _WARNING_SECONDS)
            if warn:
                self._warned_at = forecast.at
            self._dispatch(JobForecast(self._job, forecast, warn))
        return forecast.explanation if warn else None

    def mark_failed(self, reason: str) -> None:
        """Makes the job count as failed when it ends, even without an exception."""
        self._reason = reason

    def _emit(self, event: JobEvent) -> None:
        with self._lock:
            self._dispatch(event)

    def _count_failed_push(self) -> None:
        count_errors(self._adapters, "pushgateway")
