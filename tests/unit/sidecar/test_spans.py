"""Spans of calls and of the batches that they share."""

import asyncio
import math
from collections.abc import Iterator

import numpy as np
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Span, StatusCode, get_current_span
from undertone_sidecar.backend import Batch, Scores
from undertone_sidecar.batching import BatchLimits, Lane, MicroBatcher, Request
from undertone_sidecar.errors import DeadlineError, ModelServerLostError
from undertone_sidecar.events import ParagraphsAnswered, ParagraphShed, ReadinessChanged, ServedModel, Tokenized
from undertone_sidecar.spans import SpanListener
from undertone_sidecar.testing import FakeBackend, FakeClock
from undertone_telemetry.tracing import Tracing


class SpanBackend(FakeBackend):
    """Records the current span of each call in `current`."""

    def __init__(self) -> None:
        super().__init__()
        self.current: list[Span] = []

    async def predict(self, batch: Batch, *, timeout: float | None) -> Scores:  # noqa: ASYNC109
        self.current.append(get_current_span())
        return await super().predict(batch, timeout=timeout)


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracing(exporter: InMemorySpanExporter) -> Iterator[Tracing]:
    tracing = Tracing(SimpleSpanProcessor(exporter), sample=1.0, service="undertone-sidecar")
    yield tracing
    tracing.close()


@pytest.fixture
def listener(tracing: Tracing) -> SpanListener:
    listener = SpanListener(tracing.tracer)
    listener(ReadinessChanged(ServedModel("emotions", 1, "bf16")))
    return listener


def make_batcher(backend: FakeBackend, listener: SpanListener, clock: FakeClock) -> MicroBatcher:
    limits = BatchLimits(budget=512, slots=1, queue_tokens=100_000, batch_share=0.1)
    return MicroBatcher(backend, limits, call_seconds=30, margin_seconds=0, clock=clock, listener=listener)


def request(tokens: int, span: object | None, deadline: float = math.inf) -> Request:
    return Request(np.arange(tokens, dtype=np.int32), 64, 1, deadline, Lane.ONLINE, span)


def finished_spans(exporter: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in exporter.get_finished_spans() if span.name == name]


def ids(span: Span | ReadableSpan) -> tuple[int, int]:
    context = span.get_span_context()
    assert context
    return context.trace_id, context.span_id


def linked(span: ReadableSpan) -> list[tuple[int, int]]:
    return [(link.context.trace_id, link.context.span_id) for link in span.links]


async def test_the_span_of_a_batch_is_linked_with_the_spans_of_its_calls(
    tracing: Tracing, exporter: InMemorySpanExporter, listener: SpanListener
) -> None:
    backend, clock = SpanBackend(), FakeClock()
    batcher = make_batcher(backend, listener, clock)
    backend.hold()
    busy = batcher.submit([request(64, None)])  # The other requests wait meanwhile and share a batch.
    await backend.wait_for_calls()
    first, second = tracing.tracer.start_span("first"), tracing.tracer.start_span("second")
    results = batcher.submit([request(10, first), request(20, first)])
    clock.advance(2)
    results += batcher.submit([request(30, second)]) + batcher.submit([request(40, None)])
    clock.advance(1)
    backend.release()
    await asyncio.gather(*busy, *results)
    await batcher.close()

    (predict,) = finished_spans(exporter, "predict")
    assert linked(predict) == [ids(first), ids(second)]
    assert predict.parent
    assert predict.parent.span_id == ids(first)[1]
    assert predict.attributes == {
        "undertone.model.name": "emotions",
        "undertone.model.version": 1,
        "undertone.model.precision": "bf16",
        "undertone.lane": "online",
        "undertone.sequences": 4,
        "undertone.tokens": 100,
        "undertone.padded_tokens": 256,
        "undertone.prefetched": False,
        "rpc.response.status_code": "OK",
    }
    queues = {queue.parent.span_id: queue for queue in finished_spans(exporter, "queue") if queue.parent}
    assert set(queues) == {ids(first)[1], ids(second)[1]}
    for call, sequences, waited in ((first, 2, 3), (second, 1, 1)):
        queue = queues[ids(call)[1]]
        assert queue.attributes == {"undertone.lane": "online", "undertone.sequences": sequences}
        assert linked(queue) == [ids(predict)]
        assert queue.start_time is not None
        assert queue.end_time is not None
        assert queue.end_time - queue.start_time == waited * 1_000_000_000
    # The first batch has no traced request, so its call has no span.
    assert not backend.current[0].get_span_context().is_valid
    assert ids(backend.current[1]) == ids(predict)


async def test_an_untraced_batch_after_a_traced_one_has_no_span(
    tracing: Tracing, exporter: InMemorySpanExporter, listener: SpanListener
) -> None:
    backend = SpanBackend()
    batcher = make_batcher(backend, listener, FakeClock())
    with tracing.call_span("request", 1):
        traced = batcher.submit([request(10, listener.current_span())])
        await backend.wait_for_calls()
        untraced = batcher.submit([request(10, None)])
        await asyncio.gather(*traced, *untraced)
    await batcher.close()
    assert [span.get_span_context().is_valid for span in backend.current] == [True, False]
    assert len(finished_spans(exporter, "predict")) == 1


async def test_a_failed_batch_has_its_status_code_but_not_its_message(
    tracing: Tracing, exporter: InMemorySpanExporter, listener: SpanListener
) -> None:
    backend = SpanBackend()
    backend.fails = lambda _: ModelServerLostError("gone, with 'secret'")
    batcher = make_batcher(backend, listener, FakeClock())
    await asyncio.gather(*batcher.submit([request(10, tracing.tracer.start_span("request"))]), return_exceptions=True)
    await batcher.close()
    (predict,) = finished_spans(exporter, "predict")
    assert predict.attributes
    assert predict.attributes["rpc.response.status_code"] == predict.attributes["error.type"] == "UNAVAILABLE"
    assert predict.status.status_code is StatusCode.ERROR
    assert "secret" not in predict.to_json()


async def test_a_dropped_request_is_an_event_of_its_call(
    tracing: Tracing, exporter: InMemorySpanExporter, listener: SpanListener
) -> None:
    backend, clock = SpanBackend(), FakeClock()
    batcher = make_batcher(backend, listener, clock)
    backend.hold()
    busy = batcher.submit([request(64, None)])
    await backend.wait_for_calls()
    with tracing.call_span("request", 1):
        results = batcher.submit([request(10, listener.current_span(), deadline=2.0)])
        clock.advance(3)
        backend.release()
        assert isinstance((await asyncio.gather(*busy, *results, return_exceptions=True))[-1], DeadlineError)
    await batcher.close()
    (call,) = exporter.get_finished_spans()
    assert [(event.name, event.attributes) for event in call.events] == [
        ("dropped", {"undertone.lane": "online", "reason": "expired", "undertone.queue_seconds": 3.0})
    ]


def test_events_during_a_call_are_recorded_in_its_span(
    tracing: Tracing, exporter: InMemorySpanExporter, listener: SpanListener
) -> None:
    with tracing.call_span("request", 2):
        assert listener.current_span() is get_current_span()
        listener(Tokenized(2, 31, 0.5))
        listener(ParagraphShed("batch", "queue_full", 1, 20))
        listener(ParagraphsAnswered("RESOURCE_EXHAUSTED", 1))
    tokenize, call = exporter.get_finished_spans()
    assert (tokenize.name, call.name) == ("tokenize", "request")
    assert tokenize.parent
    assert tokenize.parent.span_id == ids(call)[1]
    assert tokenize.attributes == {"undertone.paragraphs": 2, "undertone.tokens": 31}
    assert tokenize.start_time is not None
    assert tokenize.end_time is not None
    assert tokenize.end_time - tokenize.start_time == 500_000_000
    assert [(event.name, event.attributes) for event in call.events] == [
        ("shed", {"undertone.lane": "batch", "reason": "queue_full", "undertone.tokens": 20}),
        ("paragraphs answered", {"code": "RESOURCE_EXHAUSTED", "undertone.paragraphs": 1}),
    ]


def test_events_outside_of_a_trace_make_no_spans(exporter: InMemorySpanExporter, listener: SpanListener) -> None:
    assert listener.current_span() is None
    listener(Tokenized(2, 31, 0.5))
    listener(ParagraphsAnswered("OK", 2))
    assert exporter.get_finished_spans() == ()
