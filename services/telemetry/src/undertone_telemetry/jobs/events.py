"""What happens to a job, and what is measured of it."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from undertone_telemetry.fanout import Signal
from undertone_telemetry.metric import Kind, Measurement, Metric
from undertone_telemetry.notice import Level, Notice


@dataclass(frozen=True, slots=True)
class JobStarted:
    """The job began, `at` so many seconds since 1970."""

    job: str
    at: float


@dataclass(frozen=True, slots=True)
class JobProgressed:
    """So far, so many `paragraphs` have an outcome, by the name of its gRPC status code.

    `expected` is how many there will be in all, None while that is not known.
    """

    job: str
    paragraphs: Mapping[str, int]
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class JobSucceeded:
    """The job ended well."""

    job: str
    at: float


@dataclass(frozen=True, slots=True)
class JobFailed:
    """The job ended, or was ended, before it was done. `reason` names no paragraph's text."""

    job: str
    at: float
    reason: str


JobEvent = JobStarted | JobProgressed | JobSucceeded | JobFailed

_REASON_CHARACTERS: Final = 2000
"""DataDog takes no event of more than 8 kB."""

_JOB: Final = ("job",)
_STARTED: Final = Metric(
    "undertone_job_started_timestamp_seconds", Kind.GAUGE, "When the job began last, in seconds since 1970.", _JOB
)
_SUCCEEDED: Final = Metric(
    "undertone_job_last_success_timestamp_seconds", Kind.GAUGE, "When the job ended well, in seconds since 1970.", _JOB
)
_RUNNING: Final = Metric("undertone_job_running", Kind.GAUGE, "1 from the job's beginning to its end, then 0.", _JOB)
_PARAGRAPHS: Final = Metric(
    "undertone_job_paragraphs_total", Kind.COUNTER, "Paragraphs with an outcome: OK has a score.", (*_JOB, "code")
)
_EXPECTED: Final = Metric(
    "undertone_job_expected_paragraphs", Kind.GAUGE, "Paragraphs that the job has to score; absent if that is not known.", _JOB
)
_FAILED: Final = Metric("undertone_job_failed_total", Kind.COUNTER, "Runs that failed.", _JOB)

CATALOGUE: Final = (_STARTED, _SUCCEEDED, _RUNNING, _PARAGRAPHS, _EXPECTED, _FAILED)


class JobMeasure:
    """What the events of one job mean. They come from one thread at a time."""

    def __init__(self) -> None:
        self._counted: Counter[str] = Counter()
        self._began = 0.0

    def __call__(self, event: JobEvent) -> Iterator[Signal]:
        job = (event.job,)
        match event:
            case JobStarted():
                self._began = event.at
                yield Measurement(_STARTED, event.at, job)
                yield Measurement(_RUNNING, 1, job)
                yield Measurement(_FAILED, 0, job)  # so that the first failure is an increase
                yield Measurement(_PARAGRAPHS, 0, (*job, "OK"))
                yield _notice(event, "started", Level.INFO, "")
            case JobProgressed():
                if event.expected is not None:
                    yield Measurement(_EXPECTED, event.expected, job)
                for code, count in event.paragraphs.items():
                    if more := count - self._counted[code]:
                        self._counted[code] = count
                        yield Measurement(_PARAGRAPHS, more, (*job, code))
            case JobSucceeded():
                yield Measurement(_RUNNING, 0, job)
                yield Measurement(_SUCCEEDED, event.at, job)
                yield _notice(event, "succeeded", Level.SUCCESS, self._account(event.at))
            case JobFailed():
                yield Measurement(_RUNNING, 0, job)
                yield Measurement(_FAILED, 1, job)
                yield _notice(event, "failed", Level.ERROR, f"{event.reason[:_REASON_CHARACTERS]}\n{self._account(event.at)}")

    def _account(self, at: float) -> str:
        counts = ", ".join(f"{count:,} {code}" for code, count in self._counted.most_common()) or "none"
        return f"paragraphs: {counts}; {at - self._began:,.0f} s"


def _notice(event: JobEvent, what: str, level: Level, text: str) -> Notice:
    return Notice(f"undertone job {event.job} {what}", text, level, (("job", event.job),))
