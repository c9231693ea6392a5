"""Events and metrics of gRPC calls, on the client's and on the server's side.

All times are in seconds.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Final

from undertone_telemetry.metrics import DURATION_BUCKETS, SIZE_BUCKETS, Kind, Measurement, Metric


class Side(Enum):
    """The side of the call that emitted the event."""

    SERVER = "server"
    CLIENT = "client"


@dataclass(frozen=True, slots=True)
class CallStarted:
    """The server received a request, or the client is about to send one.

    Attributes:
        method: The full gRPC path, "/package.Service/Method".
        deadline_seconds: The time left until the deadline; None without a deadline.
    """

    side: Side
    method: str
    request_bytes: int
    deadline_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class CallFinished:
    """A call was answered, failed or was cancelled.

    Attributes:
        code: The name of the gRPC status code.
        response_bytes: None without a reply.
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
    """The metrics of one side. Common gRPC dashboards expect these names."""

    started: Metric
    handled: Metric
    handling: Metric
    in_flight: Metric
    request_bytes: Metric
    response_bytes: Metric


def _family(side: Side, started: str, handled: str, handling: str) -> _Family:
    name = f"grpc_{side.value}"
    request, response = "Size of the request message.", "Size of the reply message. Failed calls have none."
    return _Family(
        Metric(f"{name}_started_total", Kind.COUNTER, started, _METHOD),
        Metric(f"{name}_handled_total", Kind.COUNTER, handled, (*_METHOD, "grpc_code")),
        Metric(f"{name}_handling_seconds", Kind.HISTOGRAM, handling, _METHOD, DURATION_BUCKETS),
        Metric(f"{name}_in_flight", Kind.GAUGE, "Calls in flight.", _METHOD),
        Metric(f"{name}_request_bytes", Kind.HISTOGRAM, request, _METHOD, SIZE_BUCKETS),
        Metric(f"{name}_response_bytes", Kind.HISTOGRAM, response, _METHOD, SIZE_BUCKETS),
    )


_FAMILIES: Final = {
    Side.SERVER: _family(
        Side.SERVER, "Calls received.", "Calls finished.", "Time from receiving the request to the end of its handler."
    ),
    Side.CLIENT: _family(
        Side.CLIENT,
        "Attempts sent.",
        "Attempts finished.",
        "Time from sending an attempt to its reply or failure.",
    ),
}

_DEADLINE_LEFT: Final = Metric(
    "grpc_server_deadline_left_seconds",
    Kind.HISTOGRAM,
    "Time left until the caller's deadline when the server received the call. Only for calls with a deadline.",
    _METHOD,
    DURATION_BUCKETS,
)


def _catalogue(side: Side) -> tuple[Metric, ...]:
    family = _FAMILIES[side]
    metrics = (family.started, family.handled, family.handling, family.in_flight, family.request_bytes, family.response_bytes)
    return (*metrics, _DEADLINE_LEFT) if side is Side.SERVER else metrics


SERVER_CATALOGUE: Final = _catalogue(Side.SERVER)
CLIENT_CATALOGUE: Final = _catalogue(Side.CLIENT)


class CallMetrics:
    """Converts the events of calls into measurements.

    It counts the calls in flight and is not thread-safe: use one per event loop.
    """

    def __init__(self) -> None:
        self._in_flight: Counter[tuple[Side, str]] = Counter()

    def __call__(self, event: CallEvent) -> Iterator[Measurement]:
        family, labels = _FAMILIES[event.side], _labels(event.method)
        key = event.side, event.method
        if isinstance(event, CallStarted):
            self._in_flight[key] += 1
            yield Measurement(family.started, 1, labels)
            yield Measurement(family.request_bytes, event.request_bytes, labels)
            if event.side is Side.SERVER and event.deadline_seconds is not None:
                yield Measurement(_DEADLINE_LEFT, event.deadline_seconds, labels)
        else:
            self._in_flight[key] -= 1
            yield Measurement(family.handled, 1, (*labels, event.code))
            yield Measurement(family.handling, event.seconds, labels)
            if event.response_bytes is not None:
                yield Measurement(family.response_bytes, event.response_bytes, labels)
        yield Measurement(family.in_flight, self._in_flight[key], labels)


@cache
def _labels(method: str) -> tuple[str, str, str]:
    """The labels of "/package.Service/Method".

    The cache is small: only existing methods emit events.
    """
    _, service, name = method.split("/")
    return "unary", service, name
