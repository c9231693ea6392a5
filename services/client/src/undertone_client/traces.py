"""Span events for what happens to a call between its attempts. Imports OpenTelemetry."""

from undertone_telemetry.tracing.convention import add_span_event

from undertone_client.resilience.events import Event, Hedged, Retried, Shed


def follow(event: Event) -> None:
    """Adds an event to the call's span, which is the current one, if the call is sampled."""
    match event:
        case Retried():
            add_span_event(
                "retry",
                {"code": event.status.name, "undertone.attempt": event.attempt, "undertone.wait_seconds": event.wait_seconds},
            )
        case Hedged():
            add_span_event("hedge")
        case Shed():
            add_span_event("shed")
