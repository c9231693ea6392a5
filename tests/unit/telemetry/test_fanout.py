import logging
from collections.abc import Iterator

import pytest
from undertone_telemetry.fanout import ERRORS, Listeners, Signal
from undertone_telemetry.metric import Kind, Measurement, Metric
from undertone_telemetry.notice import Level, Notice
from undertone_telemetry.testing import Recorder

STEPS = Metric("steps_total", Kind.COUNTER, "Steps taken.")
DONE = Notice("walk done", "all the way", Level.SUCCESS)
PARAGRAPH = "the rain fell on the harbour"


class Broken(Recorder):
    """Raises what quotes the caller's text."""

    name = "broken"

    def record(self, measurement: Measurement) -> None:
        raise RuntimeError(PARAGRAPH)

    def tell(self, notice: Notice) -> None:
        raise RuntimeError(PARAGRAPH)


def measure(steps: int) -> Iterator[Signal]:
    yield Measurement(STEPS, steps)
    if steps > 1:
        yield DONE


def test_every_adapter_hears_of_everything_in_order() -> None:
    first, second = Recorder(), Recorder()
    listeners = Listeners(measure, (first, second))
    listeners(1)
    listeners(2)
    assert first.measurements == second.measurements == [Measurement(STEPS, 1), Measurement(STEPS, 2)]
    assert first.notices == second.notices == [DONE]


def test_an_adapter_that_raises_harms_nobody_is_counted_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    before, after = Recorder(), Recorder()
    listeners = Listeners(measure, (before, Broken(), after))
    with caplog.at_level(logging.INFO):
        listeners(1)
        listeners(2)
    lost = Measurement(ERRORS, 1, ("broken",))
    steps = [Measurement(STEPS, 1), Measurement(STEPS, 2)]
    assert before.measurements == [steps[0], lost, steps[1], lost, lost]
    assert [measurement for measurement in after.measurements if measurement != lost] == steps
    assert before.notices == after.notices == [DONE]
    (record,) = caplog.records
    assert "broken failed with RuntimeError" in record.getMessage()
    assert PARAGRAPH not in caplog.text


def test_a_measure_that_raises_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def wrong(_: int) -> Iterator[Signal]:
        yield Measurement(STEPS, 1)
        raise LookupError(PARAGRAPH)

    recorder = Recorder()
    listeners = Listeners(wrong, (recorder,))
    listeners(1)
    listeners(1)
    assert recorder.measurements == [Measurement(ERRORS, 1, ("measure",))] * 2
    (record,) = caplog.records
    assert "measure failed with LookupError" in record.getMessage()
    assert PARAGRAPH not in caplog.text


def test_nothing_is_measured_for_nobody() -> None:
    measured: list[int] = []

    def watched(steps: int) -> Iterator[Signal]:
        measured.append(steps)
        yield from measure(steps)

    Listeners(watched, ())(1)
    assert measured == []


def test_followers_hear_the_events_themselves_and_harm_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def stumble(_: int) -> None:
        raise RuntimeError(PARAGRAPH)

    heard, recorder = list[int](), Recorder()
    listeners = Listeners(measure, (recorder,), {"stumbling": stumble, "heard": heard.append})
    listeners(1)
    listeners(1)
    assert heard == [1, 1]
    lost, step = Measurement(ERRORS, 1, ("stumbling",)), Measurement(STEPS, 1)
    assert recorder.measurements == [lost, step, lost, step]
    assert len(caplog.records) == 1
    assert PARAGRAPH not in caplog.text
