"""What happens to a call between its attempts, as events of its span."""

from opentelemetry.trace import get_current_span

from undertone_client.resilience.events import Event, Hedged, Retried, Shed


def follow(event: Event) -> None:
    """A listener. The call's span is the one that is current where the event is told, if the call is sampled."""
    span = get_current_span()
    if not span.is_recording():
        return
    match event:
        case Retried():
            span.add_event(
                "retry",
                {"code": event.status.name, "undertone.attempt": event.attempt, "undertone.wait_seconds": event.wait_seconds},
            )
        case Hedged():
            span.add_event("hedge")
        case Shed():
            span.add_event("shed")
