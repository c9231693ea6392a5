from collections.abc import Iterator
from typing import Any

import pytest
from undertone_telemetry import Kind, Level, Measurement, Metric, Notification, TelemetryError, TelemetrySettings
from undertone_telemetry.jobs import JobFailed, JobMetrics, JobProgressed, JobReporter, JobStarted, JobSucceeded
from undertone_telemetry.testing import RecordingAdapter, pushgateway

STEPS = Metric("steps_total", Kind.COUNTER, "Steps.")


def measure_steps(steps: int) -> list[Measurement]:
    return [Measurement(STEPS, steps)]


def signals(measure: JobMetrics, *events: Any) -> Iterator[tuple[Any, ...] | Notification]:
    for event in events:
        for signal in measure(event):
            if isinstance(signal, Measurement):
                yield signal.metric.name.removeprefix("undertone_job_"), signal.value, signal.labels[1:]
            else:
                yield signal


def test_the_signals_of_a_successful_job() -> None:
    measure = JobMetrics()
    assert list(signals(measure, JobStarted("daily", 100.0))) == [
        ("started_timestamp_seconds", 100.0, ()),
        ("running", 1, ()),
        ("failed_total", 0, ()),
        ("paragraphs_total", 0, ("OK",)),
        ("backlog_paragraphs", 0, ()),
        ("backlog_tokens", 0, ()),
        ("finish_by_timestamp_seconds", 0, ()),
        ("forecast_end_timestamp_seconds", 0, ()),
        Notification("undertone job daily started", "", Level.INFO, (("job", "daily"),)),
    ]
    assert list(signals(measure, JobProgressed("daily", {"OK": 7}))) == [("paragraphs_total", 7, ("OK",))]
    assert list(signals(measure, JobProgressed("daily", {"OK": 7, "INTERNAL": 2}, expected=19, tokens_per_paragraph=2.5))) == [
        ("expected_paragraphs", 19, ()),
        ("backlog_paragraphs", 10, ()),
        ("backlog_tokens", 25, ()),
        ("paragraphs_total", 2, ("INTERNAL",)),
    ]
    summary = "paragraphs: 7 OK, 2 INTERNAL; 34 s"
    assert list(signals(measure, JobSucceeded("daily", 134.0))) == [
        ("running", 0, ()),
        ("last_success_timestamp_seconds", 134.0, ()),
        Notification("undertone job daily succeeded", summary, Level.SUCCESS, (("job", "daily"),)),
    ]


def test_the_signals_of_a_failed_job() -> None:
    measure = JobMetrics()
    list(measure(JobStarted("daily", 100.0)))
    text = "the service is unreachable\nparagraphs: none; 1 s"
    assert list(signals(measure, JobFailed("daily", 101.0, "the service is unreachable"))) == [
        ("running", 0, ()),
        ("failed_total", 1, ()),
        Notification("undertone job daily failed", text, Level.ERROR, (("job", "daily"),)),
    ]
    [*_, notification] = measure(JobFailed("daily", 101.0, "x" * 10_000))
    assert isinstance(notification, Notification)
    assert len(notification.text) < 2100


def test_only_job_metrics_are_pushed_and_the_success_only_after_the_end() -> None:
    with pushgateway() as gateway:
        settings = TelemetrySettings(pushgateway=gateway.url, pushgateway_namespace="reading")
        with JobReporter(settings, "daily", (STEPS,), now=iter([100.0, 134.0]).__next__) as job:
            job.telemetry.listener(measure_steps)(1)
            gateway.wait_for_pushes(1)
            job.report_progress({"OK": 2}, expected=3)
        first, last = gateway.pushes[0], gateway.pushes[-1]
    at_start = {"undertone_job_started_timestamp_seconds", "undertone_job_running", "undertone_job_failed_total"}
    # PUT would delete the time of the last success.
    assert {(push.method, push.path) for push in gateway.pushes} == {("POST", "/metrics/job/daily/namespace/reading")}
    backlog = {"undertone_job_backlog_paragraphs", "undertone_job_backlog_tokens"}
    times = {"undertone_job_finish_by_timestamp_seconds", "undertone_job_forecast_end_timestamp_seconds"}
    assert first.names == at_start | backlog | times | {"undertone_job_paragraphs_total"}
    assert last.names == first.names | {"undertone_job_expected_paragraphs", "undertone_job_last_success_timestamp_seconds"}
    assert last.value("undertone_job_last_success_timestamp_seconds", job="daily") == 134
    assert last.value("undertone_job_paragraphs_total", job="daily", code="OK") == 2
    assert [push.value("undertone_job_running", job="daily") for push in (first, last)] == [1, 0]


def test_a_late_job_warns_once_in_half_an_hour() -> None:
    adapter, clock = RecordingAdapter(), [0.0]
    warnings = []
    with JobReporter(TelemetrySettings(), "daily", adapters=[adapter], finish_by=3600.0, now=lambda: clock[0]) as job:
        job.report_progress({}, expected=36_000)
        for finished in range(1, 2400):  # 1 paragraph/s, but 10 are needed
            clock[0] += 1.0
            if warning := job.report_progress({"OK": finished}, expected=36_000):
                warnings.append((clock[0], warning))
    assert [at for at, _ in warnings] == [301.0, 2101.0]
    sent = [each for each in adapter.notifications if each.level is Level.WARNING]
    assert [(each.title, each.text) for each in sent] == [("undertone job daily will be late", text) for _, text in warnings]
    assert "at 1.0 paragraphs/s, the 35,699 paragraphs left need 9 h 54 min" in warnings[0][1]
    assert adapter.values("undertone_job_finish_by_timestamp_seconds") == [3600.0]
    assert adapter.values("undertone_job_backlog_paragraphs")[:3] == [0, 36_000, 35_999]
    assert adapter.values("undertone_job_forecast_end_timestamp_seconds")[-1] == pytest.approx(36_000)


def test_a_job_in_time_does_not_warn() -> None:
    clock = [0.0]
    with JobReporter(TelemetrySettings(), "daily", finish_by=3600.0, now=lambda: clock[0]) as job:
        for finished in range(0, 3600, 5):
            clock[0] += 5.0
            assert job.report_progress({"OK": finished}, expected=3600) is None


def test_a_job_continues_without_its_pushgateway_and_agent(caplog: pytest.LogCaptureFixture) -> None:
    settings = TelemetrySettings(pushgateway="http://127.0.0.1:1", dogstatsd="127.0.0.1:1")  # nothing listens there
    adapter = RecordingAdapter()
    with JobReporter(settings, "daily", adapters=[adapter]) as job:
        job.report_progress({"OK": 1})
    titles = [notification.title for notification in adapter.notifications]
    assert titles == ["undertone job daily started", "undertone job daily succeeded"]
    assert adapter.values("undertone_telemetry_errors_total")
    assert sum("Pushgateway at 127.0.0.1:1 rejects metrics" in record.getMessage() for record in caplog.records) == 1


@pytest.mark.parametrize("error", [ValueError("may quote a paragraph"), KeyboardInterrupt()])
def test_an_exception_fails_the_job_and_propagates(error: BaseException) -> None:
    adapter = RecordingAdapter()
    with pytest.raises(type(error)), JobReporter(TelemetrySettings(), "daily", adapters=[adapter]):
        raise error
    assert adapter.notifications[-1].title == "undertone job daily failed"
    assert adapter.notifications[-1].text.startswith(f"{type(error).__name__}\n")
    assert adapter.values("undertone_job_last_success_timestamp_seconds") == []


def test_explain_describes_an_exception() -> None:
    adapter = RecordingAdapter()
    job = JobReporter(TelemetrySettings(), "daily", adapters=[adapter], explain=lambda error: f"it was {error}")
    with pytest.raises(ValueError, match="nonsense"), job:
        raise ValueError("nonsense")
    assert adapter.notifications[-1].text.startswith("it was nonsense\n")


def test_a_job_can_fail_without_an_exception() -> None:
    adapter = RecordingAdapter()
    with JobReporter(TelemetrySettings(), "daily", adapters=[adapter]) as job:
        job.mark_failed("3 paragraphs have no score")
    assert adapter.notifications[-1].text.startswith("3 paragraphs have no score\n")
    assert adapter.values("undertone_job_failed_total") == [0, 1]


def test_a_job_does_not_start_if_its_port_is_taken() -> None:
    adapter = RecordingAdapter()
    with JobReporter(TelemetrySettings(metrics_port=0), "daily") as first:
        settings = TelemetrySettings(metrics_port=first.telemetry.metrics_port)
        with pytest.raises(TelemetryError, match="cannot be opened"), JobReporter(settings, "daily", adapters=[adapter]):
            raise AssertionError
    assert adapter.notifications == []
