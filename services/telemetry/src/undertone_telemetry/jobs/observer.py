"""The wrapper around a job: tells every adapter how it goes."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from undertone_telemetry.fanout import ERRORS, Adapter, Listeners
from undertone_telemetry.jobs.events import CATALOGUE, JobEvent, JobFailed, JobMeasure, JobProgressed, JobStarted, JobSucceeded
from undertone_telemetry.jobs.recurrence import Recurrence
from undertone_telemetry.metric import Measurement, Metric
from undertone_telemetry.settings import TelemetrySettings
from undertone_telemetry.telemetry import Telemetry

END_SECONDS: Final = 5.0
"""That a job's end waits for a Pushgateway that does not answer."""


def _kind(error: BaseException) -> str:
    return type(error).__name__  # its message might quote anything


class JobObserver:
    """Tells that a job began when it is entered, and how it ended when it is left; by an exception, it failed.

    Nothing that metrics are sent to can fail the job, or hold it up for more than seconds at its end.

    Attributes:
        telemetry: the adapters, for the listeners of whatever else the job does.
    """

    def __init__(
        self,
        settings: TelemetrySettings,
        job: str,
        catalogue: Iterable[Metric] = (),
        *,
        adapters: Sequence[Adapter] = (),
        explain: Callable[[BaseException], str] = _kind,
        now: Callable[[], float] = time.time,
    ) -> None:
        """
        Args:
            settings: which adapters there are.
            job: the name of the job, the label of its metrics and their group in the Pushgateway.
            catalogue: metrics that are recorded beside the job's own.
            adapters: further ones.
            explain: says in words why the job failed, without the text of paragraphs.
            now: seconds since 1970.
        """
        self.telemetry = Telemetry(settings, (*catalogue, *CATALOGUE))
        self._settings = settings
        self._job = job
        self._adapters = (*self.telemetry.adapters, *adapters)
        self._explain = explain
        self._now = now
        self._emit: Listeners[JobEvent] = Listeners(JobMeasure(), self._adapters)
        self._lock = threading.Lock()
        self._reason: str | None = None
        self._pushes: Recurrence | None = None

    def __enter__(self) -> Self:
        """Raises TelemetryError if the metrics' port cannot be opened."""
        try:
            self.telemetry.start()
        except BaseException:
            self.telemetry.close()
            raise
        self._tell(JobStarted(self._job, self._now()))
        if self._settings.pushgateway and self.telemetry.prometheus is not None:
            from undertone_telemetry.jobs.pushing import PUSH_SECONDS, Pushing

            push = Pushing(self._settings.pushgateway, self._job, self.telemetry.prometheus.registry, self._push_failed)
            self._pushes = Recurrence(push, PUSH_SECONDS, patience_seconds=END_SECONDS)
            self._pushes.begin()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if error is not None:
            self.failed(self._explain(error))
        if self._reason is None:
            self._tell(JobSucceeded(self._job, self._now()))
        else:
            self._tell(JobFailed(self._job, self._now(), self._reason))
        if self._pushes is not None:
            self._pushes.end()
        self.telemetry.close()

    def progressed(self, paragraphs: Mapping[str, int], expected: int | None = None) -> None:
        """Say how far the job is; see `JobProgressed`. May be called by any thread, not too often."""
        self._tell(JobProgressed(self._job, paragraphs, expected))

    def failed(self, reason: str) -> None:
        """Let the job count as failed when it ends, though no exception says so."""
        self._reason = reason

    def _tell(self, event: JobEvent) -> None:
        with self._lock:
            self._emit(event)

    def _push_failed(self) -> None:
        for adapter in self._adapters:
            with suppress(Exception):
                adapter.record(Measurement(ERRORS, 1, ("pushgateway",)))
