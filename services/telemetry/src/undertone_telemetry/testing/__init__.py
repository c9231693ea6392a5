"""Test doubles: an adapter that keeps what it receives, a Datadog agent, and a Pushgateway.

`undertone_telemetry.testing.otlp` has a collector of traces; it needs the extra [otel].
"""

from undertone_telemetry.testing.dogstatsd import FakeAgent, StatsDMetric, sum_counters, udp_agent, unix_agent
from undertone_telemetry.testing.pushgateway import FakePushgateway, Push, pushgateway
from undertone_telemetry.testing.recording import RecordingAdapter

__all__ = [
    "FakeAgent",
    "FakePushgateway",
    "Push",
    "RecordingAdapter",
    "StatsDMetric",
    "pushgateway",
    "sum_counters",
    "udp_agent",
    "unix_agent",
]
