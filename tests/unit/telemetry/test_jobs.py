"""Jobs as adapters hear of them, and their pushes."""

import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, pushadd_to_gateway
from prometheus_client.registry import Collector
from undertone_telemetry.jobs import JobFailed, JobMeasure, JobObserver, JobProgressed, JobStarted, JobSucceeded, Recurrence
from undertone_telemetry.jobs.pushing import Pushing
from undertone_telemetry.metric import Kind, Measurement, Metric
from undertone_telemetry.notice import Level, Notice
from undertone_telemetry.settings import TelemetryError, TelemetrySettings
from undertone_telemetry.testing import Recorder, pushgateway

STEPS = Metric("steps_total", Kind.COUNTER, "Steps taken.")


def told(measure: JobMeasure, *events: Any) -> Iterator[tuple[Any, ...] | Notice]:
    for event in events:
        for signal in measure(event):
            if isinstance(signal, Measurement):
                yield signal.metric.name.removeprefix("undertone_job_"), signal.value, signal.labels[1:]
            else:
                yield signal


def test_a_job_that_ends_well() -> None:
    measure = JobMeasure()
    assert list(told(measure, JobStarted("daily", 100.0))) == [
        ("started_timestamp_seconds", 100.0, ()),
        ("running", 1, ()),
        ("failed_total", 0, ()),
        ("paragraphs_total", 0, ("OK",)),
        Notice("undertone job daily started", "", Level.INFO, (("job", "daily"),)),
    ]
    assert list(told(measure, JobProgressed("daily", {"OK": 7}))) == [("paragraphs_total", 7, ("OK",))]
    assert list(told(measure, JobProgressed("daily", {"OK": 7, "INTERNAL": 2}, expected=9))) == [
        ("expected_paragraphs", 9, ()),
        ("paragraphs_total", 2, ("INTERNAL",)),
    ]
    assert list(told(measure, JobSucceeded("daily", 134.0))) == [
        ("running", 0, ()),
        ("last_success_timestamp_seconds", 134.0, ()),
        Notice("undertone job daily succeeded", "paragraphs: 7 OK, 2 INTERNAL; 34 s", Level.SUCCESS, (("job", "daily"),)),
    ]


def test_a_job_that_fails() -> None:
    measure = JobMeasure()
    list(measure(JobStarted("daily", 100.0)))
    assert list(told(measure, JobFailed("daily", 101.0, "the service has gone"))) == [
        ("running", 0, ()),
        ("failed_total", 1, ()),
        Notice(
            "undertone job daily failed",
            "the service has gone\nparagraphs: none; 1 s",
            Level.ERROR,
            (("job", "daily"),),
        ),
    ]
    [*_, notice] = measure(JobFailed("daily", 101.0, "x" * 10_000))
    assert isinstance(notice, Notice)
    assert len(notice.text) < 2100


def test_what_recurs_is_done_at_once_and_at_the_end() -> None:
    done: list[str] = []
    waits = iter([False, False, True])

    def wait(seconds: float) -> bool:
        done.append(f"{seconds:g} s")
        return next(waits)

    recurrence = Recurrence(lambda: done.append("act"), 15, patience_seconds=60, wait=wait)
    recurrence.begin()
    recurrence.end()
    assert done == ["act", "15 s", "act", "15 s", "act", "15 s", "act"]


def test_the_end_does_not_wait_for_what_hangs() -> None:
    ended, left = threading.Event(), threading.Event()

    def hang() -> None:
        ended.wait(60)
        left.set()

    recurrence = Recurrence(hang, 15, patience_seconds=0)
    recurrence.begin()
    recurrence.end()
    assert not left.is_set()
    ended.set()
    assert left.wait(60)


def step(event: str) -> list[Measurement]:
    return [Measurement(STEPS, 1)]


def test_only_the_metrics_of_jobs_are_pushed_and_no_success_before_there_is_one() -> None:
    with pushgateway() as gateway:
        settings = TelemetrySettings(pushgateway=gateway.url)
        with JobObserver(settings, "daily", (STEPS,), now=iter([100.0, 134.0]).__next__) as job:
            job.telemetry.listener(step)("a step")
            gateway.until_pushed(1)
            job.progressed({"OK": 2}, expected=3)
        first, last = gateway.pushes[0], gateway.pushes[-1]
    running = {"undertone_job_started_timestamp_seconds", "undertone_job_running", "undertone_job_failed_total"}
    assert {(push.method, push.job) for push in gateway.pushes} == {("POST", "daily")}  # PUT would wipe the last success
    assert first.names == running | {"undertone_job_paragraphs_total"}
    assert last.names == first.names | {"undertone_job_expected_paragraphs", "undertone_job_last_success_timestamp_seconds"}
    assert last.value("undertone_job_last_success_timestamp_seconds", job="daily") == 134
    assert last.value("undertone_job_paragraphs_total", job="daily", code="OK") == 2
    assert [push.value("undertone_job_running", job="daily") for push in (first, last)] == [1, 0]


def test_a_gateway_that_takes_nothing_is_mentioned_once(caplog: pytest.LogCaptureFixture) -> None:
    failures: list[None] = []
    with pushgateway(status=503) as gateway:
        url = gateway.url.replace("//", "//name:secret@")
        pushing = Pushing(url, "daily", CollectorRegistry(), lambda: failures.append(None), push=refused)
        for _ in range(3):
            pushing()
    assert len(failures) == 3
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert f"the Pushgateway at 127.0.0.1:{gateway.port} takes no metrics" in record.getMessage()
    assert "secret" not in record.getMessage()


def refused(gateway: str, job: str, registry: Collector, *, timeout: float) -> None:
    pushadd_to_gateway(gateway.replace("name:secret@", ""), job, registry, timeout=timeout)


def test_a_job_without_its_gateway_and_agent_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    settings = TelemetrySettings(pushgateway="http://127.0.0.1:1", dogstatsd="127.0.0.1:1")  # where nothing listens
    recorder = Recorder()
    with JobObserver(settings, "daily", adapters=[recorder]) as job:
        job.progressed({"OK": 1})
    assert [notice.title for notice in recorder.notices] == ["undertone job daily started", "undertone job daily succeeded"]
    assert recorder.values("undertone_telemetry_errors_total")
    assert sum("Pushgateway at 127.0.0.1:1 takes no metrics" in record.getMessage() for record in caplog.records) == 1


@pytest.mark.parametrize("error", [ValueError("quotes anything"), KeyboardInterrupt()])
def test_an_exception_is_a_failure_and_goes_its_way(error: BaseException) -> None:
    recorder = Recorder()
    with pytest.raises(type(error)), JobObserver(TelemetrySettings(), "daily", adapters=[recorder]):
        raise error
    assert recorder.notices[-1].title == "undertone job daily failed"
    assert recorder.notices[-1].text.startswith(f"{type(error).__name__}\n")
    assert recorder.values("undertone_job_last_success_timestamp_seconds") == []


def test_whoever_knows_an_exception_says_what_it_means() -> None:
    recorder = Recorder()
    job = JobObserver(TelemetrySettings(), "daily", adapters=[recorder], explain=lambda error: f"it was {error}")
    with pytest.raises(ValueError, match="nonsense"), job:
        raise ValueError("nonsense")
    assert recorder.notices[-1].text.startswith("it was nonsense\n")


def test_a_job_can_fail_without_an_exception() -> None:
    recorder = Recorder()
    with JobObserver(TelemetrySettings(), "daily", adapters=[recorder]) as job:
        job.failed("3 paragraphs have no score")
    assert recorder.notices[-1].text.startswith("3 paragraphs have no score\n")
    assert recorder.values("undertone_job_failed_total") == [0, 1]


def test_a_job_whose_port_is_taken_does_not_begin() -> None:
    recorder = Recorder()
    with JobObserver(TelemetrySettings(metrics_port=0), "daily") as first:
        settings = TelemetrySettings(metrics_port=first.telemetry.metrics_port)
        with pytest.raises(TelemetryError, match="cannot be opened"), JobObserver(settings, "daily", adapters=[recorder]):
            raise AssertionError
    assert recorder.notices == []
