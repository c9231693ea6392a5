"""Clients that are seen: their events, their calls, and the spans of both."""

from collections.abc import Sequence
from typing import TypedDict

import grpc
from undertone_telemetry.calls import CallMeasure
from undertone_telemetry.client import ClientObserver
from undertone_telemetry.telemetry import Telemetry

from undertone_client.client import Around
from undertone_client.metrics import measure
from undertone_client.resilience.events import Listener


class Observers(TypedDict, total=False):
    """Those arguments of `Client` that let it be seen."""

    listener: Listener
    interceptors: Sequence[grpc.aio.ClientInterceptor]
    around: Around


def observers(telemetry: Telemetry, target: str) -> Observers:
    """What lets one client be seen by all that `telemetry` has switched on: `Client(target, **observers(telemetry, target))`.

    The telemetry's catalogue holds that of `undertone_client.metrics`. It costs nothing where everything is off.
    """
    found = Observers()
    interceptors: list[grpc.aio.ClientInterceptor] = []
    if telemetry.adapters:
        interceptors.append(ClientObserver(telemetry.listener(CallMeasure())))
    followers: dict[str, Listener] = {}
    if telemetry.tracing is not None:
        from undertone_client.traces import follow  # imports OpenTelemetry

        followers["traces"] = follow
        found["around"] = telemetry.tracing.call
        interceptors.append(telemetry.tracing.attempts(target))
    if interceptors:
        found["listener"] = telemetry.listener(measure, followers)
        found["interceptors"] = interceptors
    return found
