"""Metrics, traces and logs of Undertone's processes.

Importing this package imports no backend: the libraries of Prometheus, Datadog and OpenTelemetry
are imported when settings switch them on.
"""

from undertone_telemetry.dispatch import Adapter, EventDispatcher, Signal
from undertone_telemetry.metrics import (
    DURATION_BUCKETS,
    SIZE_BUCKETS,
    Kind,
    Level,
    Measurement,
    Metric,
    Notification,
)
from undertone_telemetry.settings import TelemetryError, TelemetrySettings
from undertone_telemetry.telemetry import Telemetry

__all__ = [
    "DURATION_BUCKETS",
    "SIZE_BUCKETS",
    "Adapter",
    "EventDispatcher",
    "Kind",
    "Level",
    "Measurement",
    "Metric",
    "Notification",
    "Signal",
    "Telemetry",
    "TelemetryError",
    "TelemetrySettings",
]
