"""The spans of requests and of the batches that they share, kept in memory."""

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
from undertone_sidecar.batching import Bounds, Encoded, Lane, MicroBatcher
from undertone_sidecar.errors import DeadlineError, ModelServerLostError
from undertone_sidecar.events import ParagraphsAnswered, ReadinessChanged, ServedModel, Tokenized, WorkShed
from undertone_sidecar.testing import FakeBackend, FakeClock
from undertone_sidecar.traces import Spans
from undertone_telemetry.tracing import Tracing


class Backend(FakeBackend):
    """Remembers the span that is current in each call."""

    def __init__(self) -> None:
        super().__init__()
        self.current: list[Span] = []

    async def predict(self, batch: Batch, *, timeout: float) -> Scores:  # noqa: ASYNC109
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
def spans(tracing: Tracing) -> Spans:
    spans = Spans(tracing.tracer)
    spans(ReadinessChanged(ServedModel("emotions", 1, "bf16")))
    return spans


def batcher(backend: FakeBackend, spans: Spans, clock: FakeClock) -> MicroBatcher:
    bounds = Bounds.token_budget(512, calls=1, waiting=100_000, batch_share=0.1)
    return MicroBatcher(backend, bounds, call_seconds=30, margin_seconds=0, clock=clock, listener=spans)


def encoded(tokens: int, origin: object | None, deadline: float = math.inf) -> Encoded:
    return Encoded(np.arange(tokens, dtype=np.int32), 64, 1, deadline, Lane.ONLINE, origin)


def named(exporter: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in exporter.get_finished_spans() if span.name == name]


def ids(span: Span | ReadableSpan) -> tuple[int, int]:
    context = span.get_span_context()
    assert context
    return context.trace_id, context.span_id


def linked(span: ReadableSpan) -> list[tuple[int, int]]:
    return [(link.context.trace_id, link.context.span_id) for link in span.links]


async def test_a_batch_has_one_span_that_leads_to_its_requests_and_back(
    tracing: Tracing, exporter: InMemorySpanExporter, spans: Spans
) -> None:
    backend, clock = Backend(), FakeClock()
    subject = batcher(backend, spans, clock)
    backend.hold()
    busy = subject.submit([encoded(64, None)])  # so that the others wait, and travel together
    await backend.until_asked()
    first, second = tracing.tracer.start_span("first"), tracing.tracer.start_span("second")
    answers = subject.submit([encoded(10, first), encoded(20, first)])
    clock.advance(2)
    answers += subject.submit([encoded(30, second)]) + subject.submit([encoded(40, None)])
    clock.advance(1)
    backend.release()
    await asyncio.gather(*busy, *answers)
    await subject.close()

    (predict,) = named(exporter, "predict")
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
    queues = {queue.parent.span_id: queue for queue in named(exporter, "queue") if queue.parent}
    assert set(queues) == {ids(first)[1], ids(second)[1]}
    for request, sequences, waited in ((first, 2, 3), (second, 1, 1)):
        queue = queues[ids(request)[1]]
        assert queue.attributes == {"undertone.lane": "online", "undertone.sequences": sequences}
        assert linked(queue) == [ids(predict)]
        assert queue.start_time is not None
        assert queue.end_time is not None
        assert queue.end_time - queue.start_time == waited * 1_000_000_000
    # What nobody follows is no part of any trace, though the batch was sent from within the other's.
    assert not backend.current[0].get_span_context().is_valid
    assert ids(backend.current[1]) == ids(predict)


async def test_a_batch_of_nobody_after_one_that_is_followed_is_in_no_trace(
    tracing: Tracing, exporter: InMemorySpanExporter, spans: Spans
) -> None:
    backend = Backend()
    subject = batcher(backend, spans, FakeClock())
    with tracing.call_span("request", 1):
        followed = subject.submit([encoded(10, spans.origin())])
        await backend.until_asked()
        nobodys = subject.submit([encoded(10, None)])
        await asyncio.gather(*followed, *nobodys)
    await subject.close()
    assert [span.get_span_context().is_valid for span in backend.current] == [True, False]
    assert len(named(exporter, "predict")) == 1


async def test_a_batch_that_fails_says_with_which_code(tracing: Tracing, exporter: InMemorySpanExporter, spans: Spans) -> None:
    backend = Backend()
    backend.fails = lambda _: ModelServerLostError("gone, with 'secret'")
    subject = batcher(backend, spans, FakeClock())
    await asyncio.gather(*subject.submit([encoded(10, tracing.tracer.start_span("request"))]), return_exceptions=True)
    await subject.close()
    (predict,) = named(exporter, "predict")
    assert predict.attributes
    assert predict.attributes["rpc.response.status_code"] == predict.attributes["error.type"] == "UNAVAILABLE"
    assert predict.status.status_code is StatusCode.ERROR
    assert "secret" not in predict.to_json()


async def test_what_is_dropped_while_it_waits_is_told_in_its_request(
    tracing: Tracing, exporter: InMemorySpanExporter, spans: Spans
) -> None:
    backend, clock = Backend(), FakeClock()
    subject = batcher(backend, spans, clock)
    backend.hold()
    busy = subject.submit([encoded(64, None)])
    await backend.until_asked()
    with tracing.call_span("request", 1):
        answers = subject.submit([encoded(10, spans.origin(), deadline=2.0)])
        clock.advance(3)
        backend.release()
        assert isinstance((await asyncio.gather(*busy, *answers, return_exceptions=True))[-1], DeadlineError)
    await subject.close()
    (request,) = exporter.get_finished_spans()
    assert [(event.name, event.attributes) for event in request.events] == [
        ("dropped", {"undertone.lane": "online", "reason": "expired", "undertone.queue_seconds": 3.0})
    ]


def test_what_happens_within_a_request_is_told_in_its_span(
    tracing: Tracing, exporter: InMemorySpanExporter, spans: Spans
) -> None:
    with tracing.call_span("request", 2):
        assert spans.origin() is get_current_span()
        spans(Tokenized(2, 31, 0.5))
        spans(WorkShed("batch", "queue_full", 1, 20))
        spans(ParagraphsAnswered("RESOURCE_EXHAUSTED", 1))
    tokenize, request = exporter.get_finished_spans()
    assert (tokenize.name, request.name) == ("tokenize", "request")
    assert tokenize.parent
    assert tokenize.parent.span_id == ids(request)[1]
    assert tokenize.attributes == {"undertone.paragraphs": 2, "undertone.tokens": 31}
    assert tokenize.start_time is not None
    assert tokenize.end_time is not None
    assert tokenize.end_time - tokenize.start_time == 500_000_000
    assert [(event.name, event.attributes) for event in request.events] == [
        ("shed", {"undertone.lane": "batch", "reason": "queue_full", "undertone.tokens": 20}),
        ("paragraphs answered", {"code": "RESOURCE_EXHAUSTED", "undertone.paragraphs": 1}),
    ]


def test_what_happens_outside_of_traces_makes_no_spans(exporter: InMemorySpanExporter, spans: Spans) -> None:
    assert spans.origin() is None
    spans(Tokenized(2, 31, 0.5))
    spans(ParagraphsAnswered("OK", 2))
    assert exporter.get_finished_spans() == ()
