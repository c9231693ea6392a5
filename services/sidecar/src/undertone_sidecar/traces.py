"""What happens in the sidecar as spans: the stages of each request, and the batch that many requests share."""

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
    ReadinessChanged,
    ServedModel,
    Tokenized,
    WorkDropped,
    WorkShed,
)

_NANOSECONDS: Final = 1_000_000_000


class Spans:
    """A listener that makes spans for the requests that are sampled.

    A request has a span `tokenize`, and a span `queue` for each batch that took some of its sequences. The batch has one span,
    `predict`: a child of its first request's, with a link to each request's span. Each `queue` ends with a link to `predict`,
    so that whoever reads any of the requests finds what it shared, and with whom.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._models: dict[int, ServedModel] = {}

    @staticmethod
    def origin() -> Span | None:
        """The span of the request that is being handled; None if it is not sampled. For Pipeline."""
        span = get_current_span()
        return span if span.is_recording() else None

    def __call__(self, event: Event) -> None:
        match event:
            case ReadinessChanged(model=ServedModel() as model):
                self._models[model.version] = model
            case BatchSent() if event.origins:
                self._batch_sent(event)
            case WorkDropped(origin=Span() as request) if request.is_recording():  # not if it is over, as when it was cancelled
                request.add_event(
                    "dropped",
                    {"undertone.lane": event.lane, "reason": event.reason, "undertone.queue_seconds": event.queue_seconds},
                )
            case Tokenized() | ParagraphsAnswered() | WorkShed() | BatchAnswered():
                span = get_current_span()
                if span.is_recording():
                    self._told(span, event)

    def _told(self, span: Span, event: Tokenized | ParagraphsAnswered | WorkShed | BatchAnswered) -> None:
        """What is told within a request, or a batch, whose span is current."""
        match event:
            case Tokenized():
                now = time.time_ns()
                attributes = {"undertone.paragraphs": event.paragraphs, "undertone.tokens": event.tokens}
                self._tracer.start_span("tokenize", attributes=attributes, start_time=_before(now, event.seconds)).end(now)
            case ParagraphsAnswered():
                span.add_event("paragraphs answered", {"code": event.code, "undertone.paragraphs": event.count})
            case WorkShed():
                span.add_event("shed", {"undertone.lane": event.lane, "reason": event.reason, "undertone.tokens": event.tokens})
            case BatchAnswered():
                code = grpc.StatusCode[event.code]
                set_status(span, code, is_error=code is not grpc.StatusCode.OK)
                span.end()

    def _batch_sent(self, event: BatchSent) -> None:
        now = time.time_ns()
        waits = _waits(event)
        first, *_ = waits
        predict = self._tracer.start_span(
            "predict",
            set_span_in_context(first, Context()),
            attributes=self._described(event),
            links=[Link(request.get_span_context()) for request in waits],
            start_time=now,
        )
        # For the call to the model server and for BatchAnswered: the context is the batch's alone, so nothing needs detaching.
        attach(set_span_in_context(predict, Context()))
        for request, seconds in waits.items():
            attributes: dict[str, str | int] = {"undertone.lane": event.lane, "undertone.sequences": len(seconds)}
            start = _before(now, max(seconds))
            queue = self._tracer.start_span(
                "queue", set_span_in_context(request, Context()), attributes=attributes, start_time=start
            )
            queue.add_link(predict.get_span_context())
            queue.end(now)

    def _described(self, event: BatchSent) -> Mapping[str, Any]:
        model = self._models.get(event.version)
        known = {"undertone.model.name": model.name, "undertone.model.precision": model.precision} if model else {}
        return known | {
            "undertone.model.version": event.version,
            "undertone.lane": event.lane,
            "undertone.sequences": event.items,
            "undertone.tokens": event.tokens,
            "undertone.padded_tokens": event.padded_tokens,
            "undertone.prefetched": event.prefetched,
        }


def _waits(event: BatchSent) -> dict[Span, list[float]]:
    """For each request that is followed, what its sequences have waited."""
    waits: dict[Span, list[float]] = {}
    for origin, seconds in zip(event.origins, event.queue_seconds, strict=True):
        if isinstance(origin, Span):
            waits.setdefault(origin, []).append(seconds)
    return waits


def _before(nanoseconds: int, seconds: float) -> int:
    return nanoseconds - int(seconds * _NANOSECONDS)
