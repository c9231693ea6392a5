"""The outcome of a scheduled run, for Datadog.

The Spark job reports its own start and end. A schedule also fails where no job runs: a cluster does
not start, an input does not arrive, or a worker dies.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from undertone_telemetry import Level, Notification, Signal, Telemetry, TelemetrySettings
from undertone_telemetry.jobs import CATALOGUE, JobFailed, JobMetrics, JobSucceeded


@dataclass(frozen=True, slots=True)
class OutcomeReporter:
    """Sends events and metrics (`undertone_job_*`) of a schedule to a Datadog agent by DogStatsD.

    The counts of paragraphs are only in the text of an event: the Spark job sends them as metrics.
    An unreachable agent never fails a schedule. It delays a report by a few seconds at most.

    Attributes:
        job: The name of the schedule: the label `job` of the metrics.
        dogstatsd: The address of the agent, host:port or unix:///path.
        now: Returns seconds since 1970.

    Raises:
        TelemetryError: the address is invalid.
    """

    job: str
    dogstatsd: str
    now: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        self._settings()

    def succeeded(self, text: str) -> None:
        """Reports a successful run. The text describes it."""
        self._send(self._with_text(JobMetrics()(JobSucceeded(self.job, self.now())), text))

    def failed(self, reason: str) -> None:
        """Reports a failed run. The reason must not contain the text of a paragraph."""
        self._send(self._with_text(JobMetrics()(JobFailed(self.job, self.now(), reason)), reason))

    def missed_deadline(self, text: str) -> None:
        """Reports a run that has not ended at its deadline. The run continues."""
        title = f"undertone job {self.job} missed its deadline"
        self._send([Notification(title, text, Level.ERROR, (("job", self.job),))])

    def _with_text(self, signals: Iterable[Signal], text: str) -> Iterator[Signal]:
        for signal in signals:
            yield replace(signal, text=text) if isinstance(signal, Notification) else signal

    def _settings(self) -> TelemetrySettings:
        return TelemetrySettings(dogstatsd=self.dogstatsd)

    def _send(self, signals: Iterable[Signal]) -> None:
        telemetry = Telemetry(self._settings(), CATALOGUE)

        def unchanged(signals: Iterable[Signal]) -> Iterable[Signal]:
            return signals

        try:
            telemetry.listener(unchanged)(signals)
        finally:
            telemetry.close()
