"""Trace spans of the sidecar: the stages of each call, and the batches that calls share."""

import time
from collections.abc import Mapping
from typing import Any, Final

import grpc
from opentelemetry.context import Context, attach
from opentelemetry.trace import Link, Span, Tracer, get_current_span, set_span_in_context
from undertone_telemetry.tracing import set_status

from undertone_sidecar.events import (
    BatchAnswered,
    BatchSent,
    Event,
    ParagraphsAnswered,
    ParagraphShed,
    ReadinessChanged,
    RequestDropped,
    ServedModel,
    Tokenized,
)

_NANOSECONDS: Final = 1_000_000_000


class SpanListener:
    """Makes spans for sampled calls from the sidecar's events.

    A call has a span `tokenize`, and a span `queue` for each batch with some of its sequences. A
    batch has one span `predict`: a child of its first call's span, with a link to the span of every
    call in the batch. Each `queue` span has a link to its `predict` span.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._models: dict[int, ServedModel] = {}

    @staticmethod
    def current_span() -> Span | None:
        """Span of the current call. None if it is not sampled. For Pipeline."""
        span = get_current_span()
        return span if span.is_recording() else None

    def __call__(self, event: Event) -> None:
        match event:
            case ReadinessChanged(model=ServedModel() as model):
                self._models[model.version] = model
            case BatchSent() if event.spans:
                self._start_batch(event)
            case RequestDropped(span=Span() as span) if span.is_recording():  # The call may have ended, if it was cancelled.
                span.add_event(
                    "dropped",
                    {"undertone.lane": event.lane, "reason": event.reason, "undertone.queue_seconds": event.queue_seconds},
                )
            case Tokenized() | ParagraphsAnswered() | ParagraphShed() | BatchAnswered():
                span = get_current_span()
                if span.is_recording():
                    self._add_to_current(span, event)

    def _add_to_current(self, span: Span, event: Tokenized | ParagraphsAnswered | ParagraphShed | BatchAnswered) -> None:
        """Records an event of the call or batch whose span is current."""
        match event:
            case Tokenized():
                now = time.time_ns()
                attributes = {"undertone.paragraphs": event.paragraphs, "undertone.tokens": event.tokens}
                self._tracer.start_span("tokenize", attributes=attributes, start_time=_before(now, event.seconds)).end(now)
            case ParagraphsAnswered():
                span.add_event("paragraphs answered", {"code": event.code, "undertone.paragraphs": event.count})
            case ParagraphShed():
                span.add_event("shed", {"undertone.lane": event.lane, "reason": event.reason, "undertone.tokens": event.tokens})
            case BatchAnswered():
                code = grpc.StatusCode[event.code]
                set_status(span, code, is_error=code is not grpc.StatusCode.OK)
                span.end()

    def _start_batch(self, event: BatchSent) -> None:
        now = time.time_ns()
        queue_seconds = _queue_seconds_by_span(event)
        first, *_ = queue_seconds
        predict = self._tracer.start_span(
            "predict",
            set_span_in_context(first, Context()),
            attributes=self._attributes(event),
            links=[Link(call.get_span_context()) for call in queue_seconds],
            start_time=now,
        )
        # Makes the span current for the Predict call and for BatchAnswered. The context belongs to
        # the batch alone, so nothing needs to be detached.
        attach(set_span_in_context(predict, Context()))
        for call, seconds in queue_seconds.items():
            attributes: dict[str, str | int] = {"undertone.lane": event.lane, "undertone.sequences": len(seconds)}
            start = _before(now, max(seconds))
            queue = self._tracer.start_span(
                "queue", set_span_in_context(call, Context()), attributes=attributes, start_time=start
            )
            queue.add_link(predict.get_span_context())
            queue.end(now)

    def _attributes(self, event: BatchSent) -> Mapping[str, Any]:
        model = self._models.get(event.version)
        names = {"undertone.model.name": model.name, "undertone.model.precision": model.precision} if model else {}
        return names | {
            "undertone.model.version": event.version,
            "undertone.lane": event.lane,
            "undertone.sequences": event.items,
            "undertone.tokens": event.tokens,
            "undertone.padded_tokens": event.padded_tokens,
            "undertone.prefetched": event.prefetched,
        }


def _queue_seconds_by_span(event: BatchSent) -> dict[Span, list[float]]:
    """Time in the queue of the sequences of each sampled call."""
    by_span: dict[Span, list[float]] = {}
    for span, seconds in zip(event.spans, event.queue_seconds, strict=True):
        if isinstance(span, Span):
            by_span.setdefault(span, []).append(seconds)
    return by_span


def _before(nanoseconds: int, seconds: float) -> int:
    return nanoseconds - int(seconds * _NANOSECONDS)
