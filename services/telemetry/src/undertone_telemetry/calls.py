"""Calls over gRPC, seen from either side: their events, and what is measured of them. All times are in seconds."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Final

from undertone_telemetry.metric import BYTES, SECONDS, Kind, Measurement, Metric


class Side(Enum):
    """Who saw the call."""

    SERVER = "server"
    CLIENT = "client"


@dataclass(frozen=True, slots=True)
class CallStarted:
    """A request was read by the server, or is about to be sent by the client.

    `method` is the full gRPC path, "/package.Service/Method". `deadline_seconds` is what was left then, None without a
    deadline.
    """

    side: Side
    method: str
    request_bytes: int
    deadline_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class CallFinished:
    """A call was answered, failed or abandoned. `code` is the name of a gRPC status code.

    `response_bytes` is None where there was no reply.
    """

    side: Side
    method: str
    code: str
    seconds: float
    response_bytes: int | None = None


CallEvent = CallStarted | CallFinished

_METHOD: Final = ("grpc_type", "grpc_service", "grpc_method")


@dataclass(frozen=True, slots=True)
class _Family:
    """The metrics of one side. Their names are those of the gRPC ecosystem, so that its dashboards fit."""

    started: Metric
    handled: Metric
    handling: Metric
    in_flight: Metric
    request_bytes: Metric
    response_bytes: Metric


def _family(side: Side, started: str, handled: str, handling: str) -> _Family:
    name = f"grpc_{side.value}"
    return _Family(
        Metric(f"{name}_started_total", Kind.COUNTER, started, _METHOD),
        Metric(f"{name}_handled_total", Kind.COUNTER, handled, (*_METHOD, "grpc_code")),
        Metric(f"{name}_handling_seconds", Kind.HISTOGRAM, handling, _METHOD, SECONDS),
        Metric(f"{name}_in_flight", Kind.GAUGE, "Calls begun and not ended.", _METHOD),
        Metric(f"{name}_request_bytes", Kind.HISTOGRAM, "Size of a request's message.", _METHOD, BYTES),
        Metric(f"{name}_response_bytes", Kind.HISTOGRAM, "Size of a reply's message; failed calls have none.", _METHOD, BYTES),
    )


_FAMILIES: Final = {
    Side.SERVER: _family(Side.SERVER, "Calls read.", "Calls ended.", "Call read to status sent."),
    Side.CLIENT: _family(Side.CLIENT, "Attempts sent.", "Attempts ended.", "Attempt sent to answered or given up."),
}

_DEADLINE_LEFT: Final = Metric(
    "grpc_server_deadline_left_seconds",
    Kind.HISTOGRAM,
    "Time that the caller still gave a call when it was read; only of calls that have a deadline.",
    _METHOD,
    SECONDS,
)


def _catalogue(side: Side) -> tuple[Metric, ...]:
    family = _FAMILIES[side]
    metrics = (family.started, family.handled, family.handling, family.in_flight, family.request_bytes, family.response_bytes)
    return (*metrics, _DEADLINE_LEFT) if side is Side.SERVER else metrics


SERVER_CATALOGUE: Final = _catalogue(Side.SERVER)
CLIENT_CATALOGUE: Final = _catalogue(Side.CLIENT)


class CallMeasure:
    """What calls' events mean. Belongs to one thread, such as that of an event loop, because it counts those in flight."""

    def __init__(self) -> None:
        self._in_flight: Counter[tuple[Side, str]] = Counter()

    def __call__(self, event: CallEvent) -> Iterator[Measurement]:
        family, labels = _FAMILIES[event.side], _labels(event.method)
        here = event.side, event.method
        if isinstance(event, CallStarted):
            self._in_flight[here] += 1
            yield Measurement(family.started, 1, labels)
            yield Measurement(family.request_bytes, event.request_bytes, labels)
            if event.side is Side.SERVER and event.deadline_seconds is not None:
                yield Measurement(_DEADLINE_LEFT, event.deadline_seconds, labels)
        else:
            self._in_flight[here] -= 1
            yield Measurement(family.handled, 1, (*labels, event.code))
            yield Measurement(family.handling, event.seconds, labels)
            if event.response_bytes is not None:
                yield Measurement(family.response_bytes, event.response_bytes, labels)
        yield Measurement(family.in_flight, self._in_flight[here], labels)


@cache
def _labels(method: str) -> tuple[str, str, str]:
    """Of "/package.Service/Method". Only methods that exist are observed, so that there are few."""
    _, service, name = method.split("/")
    return "unary", service, name
