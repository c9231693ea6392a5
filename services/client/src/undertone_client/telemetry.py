"""Telemetry of a client: metrics and traces. Needs the extra `telemetry`."""

from collections.abc import Iterator, Sequence
from typing import Final, TypedDict

import grpc
from undertone_telemetry import DURATION_BUCKETS, Kind, Measurement, Metric, Telemetry
from undertone_telemetry.interceptors import ClientEventInterceptor
from undertone_telemetry.rpc import CLIENT_CATALOGUE, CallMetrics

from undertone_client.client import CallContext
from undertone_client.resilience.events import (
    AttemptFinished,
    AttemptShed,
    BreakerChanged,
    BreakerState,
    CallRecovered,
    ClientOpened,
    Event,
    HedgeSent,
    LimitChanged,
    Listener,
    ParagraphsFailed,
    ParagraphsScored,
    RetryScheduled,
)

_CODE: Final = ("code",)
_RETRIES: Final = Metric(
    "undertone_client_retries_total", Kind.COUNTER, "Retries, by the status code of the attempt that failed.", _CODE
)
_HEDGES: Final = Metric(
    "undertone_client_hedges_total", Kind.COUNTER, "Attempts sent in parallel to one that was not answered in time."
)
_SHED: Final = Metric(
    "undertone_client_shed_total", Kind.COUNTER, "Attempts that were not sent, because the circuit breaker was open."
)
_RECOVERED: Final = Metric(
    "undertone_client_recovered_total",
    Kind.COUNTER,
    "Attempts that failed or rejected paragraphs. Their call succeeded later or was split in two.",
)
_PARAGRAPHS: Final = Metric(
    "undertone_client_paragraphs_total", Kind.COUNTER, "Finished paragraphs, by their last status code. OK: scored.", _CODE
)
_SKIPPED: Final = Metric(
    "undertone_client_skipped_paragraphs_total", Kind.COUNTER, "Paragraphs without a score, by their last status code.", _CODE
)
_SLOT_WAIT: Final = Metric(
    "undertone_client_slot_wait_seconds",
    Kind.HISTOGRAM,
    "Time that an attempt waits for a slot of the concurrency limit.",
    buckets=DURATION_BUCKETS,
)
_LIMIT: Final = Metric("undertone_client_limit", Kind.GAUGE, "Concurrency limit: attempts that may be in flight.")
_BREAKER: Final = Metric(
    "undertone_client_breaker_state",
    Kind.GAUGE,
    "1 for the current state of the circuit breaker, 0 for the others. open sends no attempt, half_open one.",
    ("state",),
)

CATALOGUE: Final = (
    _RETRIES,
    _HEDGES,
    _SHED,
    _RECOVERED,
    _PARAGRAPHS,
    _SKIPPED,
    _SLOT_WAIT,
    _LIMIT,
    _BREAKER,
    *CLIENT_CATALOGUE,
)
"""All metrics of a client."""


class ClientHooks(TypedDict, total=False):
    """The arguments of `Client` that connect it to telemetry."""

    listener: Listener
    interceptors: Sequence[grpc.aio.ClientInterceptor]
    call_context: CallContext


def client_hooks(telemetry: Telemetry, target: str) -> ClientHooks:
    """Arguments of `Client` for the metrics and traces that `telemetry` has enabled, if any.

    Used as `Client(target, **client_hooks(telemetry, target))`. The catalogue of `telemetry` must
    contain `CATALOGUE`.
    """
    hooks = ClientHooks()
    interceptors: list[grpc.aio.ClientInterceptor] = []
    if telemetry.adapters:
        interceptors.append(ClientEventInterceptor(telemetry.listener(CallMetrics())))
    subscribers: dict[str, Listener] = {}
    if telemetry.tracing is not None:
        subscribers["traces"] = trace_event
        hooks["call_context"] = telemetry.tracing.call_span
        interceptors.append(telemetry.tracing.client_interceptor(target))
    if interceptors:
        hooks["listener"] = telemetry.listener(measure, subscribers)
        hooks["interceptors"] = interceptors
    return hooks


def measure(event: Event) -> Iterator[Measurement]:
    """Convert an event into measurements.

    `undertone_telemetry.rpc.CallMetrics` measures the gRPC calls.
    """
    match event:
        case ClientOpened():
            yield Measurement(_LIMIT, event.limit)
            yield from _breaker_state(event.breaker)
        case AttemptFinished():
            yield Measurement(_SLOT_WAIT, event.waited_seconds)
        case RetryScheduled():
            yield Measurement(_RETRIES, 1, (event.status.name,))
        case HedgeSent():
            yield Measurement(_HEDGES, 1)
        case AttemptShed():
            yield Measurement(_SHED, 1)
        case CallRecovered():
            yield Measurement(_RECOVERED, event.failures)
        case ParagraphsScored():
            yield Measurement(_PARAGRAPHS, event.paragraphs, ("OK",))
        case ParagraphsFailed():
            yield Measurement(_PARAGRAPHS, event.paragraphs, (event.status.name,))
            yield Measurement(_SKIPPED, event.paragraphs, (event.status.name,))
        case BreakerChanged():
            yield from _breaker_state(event.state)
        case LimitChanged():
            yield Measurement(_LIMIT, event.value)


def trace_event(event: Event) -> None:
    """A listener that adds retries, hedges and shed attempts to the current span."""
    from undertone_telemetry.tracing import add_span_event  # imports OpenTelemetry

    match event:
        case RetryScheduled():
            attributes = {"undertone.attempt": event.attempt, "undertone.wait_seconds": event.wait_seconds}
            add_span_event("retry", {"code": event.status.name, **attributes})
        case HedgeSent():
            add_span_event("hedge")
        case AttemptShed():
            add_span_event("shed")


def _breaker_state(current: BreakerState) -> Iterator[Measurement]:
    for state in BreakerState:
        yield Measurement(_BREAKER, float(state is current), (state.value.replace("-", "_"),))
