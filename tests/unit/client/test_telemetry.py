"""What is measured of a client, over real sockets."""

from collections import Counter

import pytest
from undertone_client import BreakerSettings, Client, HedgingSettings, LimitSettings, RetryPolicy, Settings, UnavailableError
from undertone_client.telemetry import CATALOGUE, measure
from undertone_client.testing import FakeClassifier, Fault, ItemFault
from undertone_telemetry.dispatch import EventDispatcher
from undertone_telemetry.interceptors import ClientEventInterceptor
from undertone_telemetry.metrics import Kind
from undertone_telemetry.rpc import CallMetrics
from undertone_telemetry.testing import RecordingAdapter

from tests.unit.support.faults import EXHAUSTED, HANG, INTERNAL, UNAVAILABLE, at_once


def counted(recorder: RecordingAdapter) -> Counter[tuple[str, ...]]:
    """Counters by name, without what all have in common, and labels."""
    sums: Counter[tuple[str, ...]] = Counter()
    for measurement in recorder.measurements:
        if measurement.metric.kind is Kind.COUNTER:
            name = measurement.metric.name.removeprefix("undertone_client_").removesuffix("_total")
            sums[name, *measurement.labels] += int(measurement.value)
    return sums


@pytest.fixture
def recorder() -> RecordingAdapter:
    return RecordingAdapter()


async def test_paragraphs_and_what_was_done_for_them(service: FakeClassifier, recorder: RecordingAdapter) -> None:
    service.faults.extend([Fault(UNAVAILABLE), Fault(EXHAUSTED)])
    service.item_faults = {"bad": ItemFault(INTERNAL)}
    async with Client(service.target, listener=EventDispatcher(measure, [recorder]), sleep=at_once) as client:
        await client.classify("text")
        await client.classify_batch(["good", "bad", "better"])
    assert counted(recorder) == {
        ("retries", "UNAVAILABLE"): 1,
        ("retries", "RESOURCE_EXHAUSTED"): 1,
        ("recovered",): 2,
        ("paragraphs", "OK"): 3,
        ("paragraphs", "INTERNAL"): 1,
        ("skipped_paragraphs", "INTERNAL"): 1,
    }
    assert len(recorder.values("undertone_client_slot_wait_seconds")) == 4
    assert {measurement.metric for measurement in recorder.measurements} <= set(CATALOGUE)


async def test_paragraphs_that_are_not_even_sent(service: FakeClassifier, recorder: RecordingAdapter) -> None:
    async with Client(service.target, listener=EventDispatcher(measure, [recorder])) as client:
        outcomes = [outcome async for outcome in client.score(["good", "x" * 70_000, "\ud800"])]
        assert client.state().counts.skipped == {"INVALID_ARGUMENT": 2}
    assert len(outcomes) == 3
    assert counted(recorder) == {
        ("paragraphs", "OK"): 1,
        ("paragraphs", "INVALID_ARGUMENT"): 2,
        ("skipped_paragraphs", "INVALID_ARGUMENT"): 2,
    }


async def test_the_breaker_and_the_limit_from_the_beginning(service: FakeClassifier, recorder: RecordingAdapter) -> None:
    settings = Settings(
        retry=RetryPolicy(attempts=1), breaker=BreakerSettings(consecutive_failures=1), limit=LimitSettings.fixed(7)
    )
    service.faults.append(Fault(UNAVAILABLE))
    now = 0.0
    async with Client(
        service.target, settings=settings, listener=EventDispatcher(measure, [recorder]), clock=lambda: now
    ) as client:
        assert recorder.values("undertone_client_limit") == [7]
        for _ in range(2):
            with pytest.raises(UnavailableError):
                await client.classify("text")
        now = 60.0
        await client.classify("text")
    states = [
        measurement.labels[0]
        for measurement in recorder.measurements
        if measurement.metric.name == "undertone_client_breaker_state" and measurement.value
    ]
    assert states == ["closed", "open", "half_open", "closed"]
    assert len(recorder.values("undertone_client_breaker_state")) == 4 * 3
    assert counted(recorder)["shed",] == 1


async def test_each_attempt_is_a_call(service: FakeClassifier, recorder: RecordingAdapter) -> None:
    service.faults.extend([Fault(UNAVAILABLE), Fault(EXHAUSTED)])
    observer = ClientEventInterceptor(EventDispatcher(CallMetrics(), [recorder]))
    async with Client(service.target, interceptors=[observer], sleep=at_once) as client:
        await client.classify("text")
    called = ("unary", "undertone.v1.Classifier", "Classify")
    counts = counted(recorder)
    assert counts.pop(("grpc_client_started", *called)) == 3
    assert counts == {("grpc_client_handled", *called, code): 1 for code in ("UNAVAILABLE", "RESOURCE_EXHAUSTED", "OK")}
    assert recorder.values("grpc_client_in_flight") == [1, 0] * 3
    assert {measurement.metric for measurement in recorder.measurements} <= set(CATALOGUE)


async def test_hedges(service: FakeClassifier, recorder: RecordingAdapter) -> None:
    service.faults.append(HANG)
    settings = Settings(hedging=HedgingSettings(delay_seconds=0.05))
    async with Client(service.target, settings=settings, listener=EventDispatcher(measure, [recorder])) as client:
        await client.classify("text")
    assert counted(recorder) == {("hedges",): 1, ("paragraphs", "OK"): 1}


async def test_an_adaptive_limit(service: FakeClassifier, recorder: RecordingAdapter) -> None:
    service.item_faults = {"full": ItemFault(EXHAUSTED, pushback_ms=1)}
    settings = Settings(breaker=BreakerSettings(patience_seconds=0))
    async with Client(
        service.target, settings=settings, listener=EventDispatcher(measure, [recorder]), sleep=at_once
    ) as client:
        for _ in range(5):
            await client.classify_batch(["full"])
        first, *_, last = recorder.values("undertone_client_limit")
        assert last == client.state().limit < first
