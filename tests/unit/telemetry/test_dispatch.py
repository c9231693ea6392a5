import logging
from collections.abc import Iterator

import pytest
from undertone_telemetry import EventDispatcher, Kind, Level, Measurement, Metric, Notification, Signal
from undertone_telemetry.dispatch import CATALOGUE, TELEMETRY_ERRORS
from undertone_telemetry.testing import RecordingAdapter

STEPS = Metric("steps_total", Kind.COUNTER, "Steps.")
DONE = Notification("walk done", "12 steps", Level.SUCCESS)
PARAGRAPH = "the rain fell on the harbour"


class FailingAdapter(RecordingAdapter):
    """Raises exceptions that quote a paragraph."""

    name = "failing"

    def record(self, measurement: Measurement) -> None:
        raise RuntimeError(PARAGRAPH)

    def notify(self, notification: Notification) -> None:
        raise RuntimeError(PARAGRAPH)


def measure(steps: int) -> Iterator[Signal]:
    yield Measurement(STEPS, steps)
    if steps > 1:
        yield DONE


def failure_of(name: str) -> Measurement:
    return Measurement(TELEMETRY_ERRORS, 1, (name,))


def test_the_catalogue_has_the_metric_for_failures() -> None:
    assert [metric.name for metric in CATALOGUE] == ["undertone_telemetry_errors_total"]


def test_every_adapter_receives_all_signals_in_order() -> None:
    first, second = RecordingAdapter(), RecordingAdapter()
    dispatcher = EventDispatcher(measure, (first, second))
    dispatcher(1)
    dispatcher(2)
    assert first.measurements == second.measurements == [Measurement(STEPS, 1), Measurement(STEPS, 2)]
    assert first.notifications == second.notifications == [DONE]


def test_a_failing_adapter_is_counted_logged_once_and_does_not_affect_the_rest(caplog: pytest.LogCaptureFixture) -> None:
    before, after = RecordingAdapter(), RecordingAdapter()
    dispatcher = EventDispatcher(measure, (before, FailingAdapter(), after))
    with caplog.at_level(logging.INFO):
        dispatcher(1)
        dispatcher(2)
    failure = failure_of("failing")
    steps = [Measurement(STEPS, 1), Measurement(STEPS, 2)]
    assert before.measurements == [steps[0], failure, steps[1], failure, failure]
    assert [measurement for measurement in after.measurements if measurement != failure] == steps
    assert before.notifications == after.notifications == [DONE]
    (record,) = caplog.records
    assert "failing failed with RuntimeError" in record.getMessage()
    assert PARAGRAPH not in caplog.text


def test_a_failing_measure_is_counted_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: int) -> Iterator[Signal]:
        yield Measurement(STEPS, 1)
        raise LookupError(PARAGRAPH)

    adapter = RecordingAdapter()
    dispatcher = EventDispatcher(fail, (adapter,))
    dispatcher(1)
    dispatcher(1)
    assert adapter.measurements == [failure_of("measure")] * 2
    (record,) = caplog.records
    assert "measure failed with LookupError" in record.getMessage()
    assert PARAGRAPH not in caplog.text


def test_without_adapters_nothing_is_measured() -> None:
    measured: list[int] = []

    def measure_and_note(steps: int) -> Iterator[Signal]:
        measured.append(steps)
        yield from measure(steps)

    EventDispatcher(measure_and_note, ())(1)
    assert measured == []


def test_subscribers_receive_the_events_and_may_fail(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: int) -> None:
        raise RuntimeError(PARAGRAPH)

    received, adapter = list[int](), RecordingAdapter()
    dispatcher = EventDispatcher(measure, (adapter,), {"failing": fail, "receiving": received.append})
    dispatcher(1)
    dispatcher(1)
    assert received == [1, 1]
    step = Measurement(STEPS, 1)
    assert adapter.measurements == [failure_of("failing"), step, failure_of("failing"), step]
    assert len(caplog.records) == 1
    assert PARAGRAPH not in caplog.text
