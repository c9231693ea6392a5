"""What is measured of a client: of its calls, and of what it does about those that fail."""

from collections.abc import Iterator
from typing import Final

from undertone_telemetry.calls import CLIENT_CATALOGUE
from undertone_telemetry.metric import SECONDS, Kind, Measurement, Metric

from undertone_client.resilience.breaker import BreakerState
from undertone_client.resilience.events import (
    AttemptFinished,
    BreakerChanged,
    Event,
    Hedged,
    LimitChanged,
    Opened,
    Recovered,
    Retried,
    Scored,
    Shed,
    Skipped,
)

_CODE: Final = ("code",)
_RETRIES: Final = Metric(
    "undertone_client_retries_total", Kind.COUNTER, "Attempts that followed a failed one, by the code of that.", _CODE
)
_HEDGES: Final = Metric(
    "undertone_client_hedges_total", Kind.COUNTER, "Attempts sent beside one that was not answered in time."
)
_SHED: Final = Metric(
    "undertone_client_shed_total", Kind.COUNTER, "Attempts that were not sent, because the circuit breaker was open."
)
_RECOVERED: Final = Metric(
    "undertone_client_recovered_total",
    Kind.COUNTER,
    "Attempts that failed or refused a part, of calls that were answered in the end: errors that nobody saw.",
)
_PARAGRAPHS: Final = Metric(
    "undertone_client_paragraphs_total", Kind.COUNTER, "Paragraphs that came to an end: OK has a score.", _CODE
)
_SKIPPED: Final = Metric(
    "undertone_client_skipped_paragraphs_total", Kind.COUNTER, "Paragraphs that got no score, by their last code.", _CODE
)
_SLOT_WAIT: Final = Metric(
    "undertone_client_slot_wait_seconds",
    Kind.HISTOGRAM,
    "An attempt's wait for its turn, because as many were under way as the limit allows.",
    buckets=SECONDS,
)
_LIMIT: Final = Metric("undertone_client_limit", Kind.GAUGE, "Attempts that may be under way at once.")
_BREAKER: Final = Metric(
    "undertone_client_breaker_state",
    Kind.GAUGE,
    "Whether the circuit breaker is in this state: 1 or 0. Open lets no call through, half_open one.",
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


def measure(event: Event) -> Iterator[Measurement]:
    """What an event of `Client`'s listener means. The calls' own metrics come from `undertone_telemetry.calls.CallMeasure`."""
    match event:
        case Opened():
            yield Measurement(_LIMIT, event.limit)
            yield from _breaker(event.breaker)
        case AttemptFinished():
            yield Measurement(_SLOT_WAIT, event.waited_seconds)
        case Retried():
            yield Measurement(_RETRIES, 1, (event.status.name,))
        case Hedged():
            yield Measurement(_HEDGES, 1)
        case Shed():
            yield Measurement(_SHED, 1)
        case Recovered():
            yield Measurement(_RECOVERED, event.failures)
        case Scored():
            yield Measurement(_PARAGRAPHS, event.paragraphs, ("OK",))
        case Skipped():
            yield Measurement(_PARAGRAPHS, event.paragraphs, (event.status.name,))
            yield Measurement(_SKIPPED, event.paragraphs, (event.status.name,))
        case BreakerChanged():
            yield from _breaker(event.state)
        case LimitChanged():
            yield Measurement(_LIMIT, event.value)


def _breaker(current: BreakerState) -> Iterator[Measurement]:
    for state in BreakerState:
        yield Measurement(_BREAKER, float(state is current), (state.value.replace("-", "_"),))
