"""Metrics and events for Datadog, by DogStatsD to an agent.

Needs `undertone-telemetry[datadog]`.
"""

import logging
import math
import threading
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from datadog.dogstatsd.base import DogStatsd

from undertone_telemetry.metrics import Kind, Measurement, Notification
from undertone_telemetry.settings import parse_dogstatsd_address

_MAX_OBSERVATIONS: Final = 64
"""The mean number of observations of one series that a flush sends.

If there are more, a random sample of this size is sent with its sampling rate. Datadog's quantiles
do not need all observations, and each costs as much as a whole counter.
"""

_MAX_QUEUED_PACKETS: Final = 512
"""Maximum number of packets that wait for an absent or slow agent.

The oldest packets are dropped beyond this number, and after ten seconds.
"""

_SEND_TIMEOUT_SECONDS: Final = 0.5
"""Maximum time that the sending thread waits for an agent that does not read."""

_Series: TypeAlias = tuple[str, tuple[str, ...], tuple[str, ...]]
"""A metric's name, its labels, and their values."""


class DogStatsDAdapter:
    """Sends metrics under their Prometheus names, without `_total`. Labels become tags.

    Counters become counts, histograms become distributions. Recording never waits for the agent:
    measurements are aggregated in memory, one thread packs them and another sends the packets.
    Gauges are sent at each flush, because the agent forgets them. DD_ENV, DD_SERVICE, DD_VERSION
    and DD_ENTITY_ID become tags of everything.
    """

    name = "dogstatsd"

    def __init__(
        self,
        address: str,
        on_loss: Callable[[int], None],
        *,
        flush_seconds: float = 1.0,
        close_timeout_seconds: float = 2.0,
    ) -> None:
        """
        Args:
            address: "host:port" or "unix:///path". The agent may start later.
            on_loss: Called with the number of packets that could not be sent, in another thread.
            flush_seconds: The interval between flushes. Counters are summed up in between.
            close_timeout_seconds: About how long `close` waits for an absent or slow agent.

        Raises:
            ValueError: the address is invalid.
        """
        host, port, path = parse_dogstatsd_address(address)
        self._on_loss = on_loss
        self._close_timeout_seconds = close_timeout_seconds
        # flush_interval=0 disables the client's flushing thread, because stopping it races with a
        # flush. The client's aggregation takes several times as long as ours. Its telemetry would
        # count the losses that on_loss reports.
        self._statsd = DogStatsd(
            host=host,
            port=port,
            socket_path=path,
            disable_buffering=False,
            flush_interval=0,
            disable_background_sender=False,
            sender_queue_size=_MAX_QUEUED_PACKETS,
            socket_timeout=_SEND_TIMEOUT_SECONDS,
            socket_connect_retry=True,
            telemetry_min_flush_interval=math.inf,  # type: ignore[arg-type]
        )
        _log_messages_once()
        self._lock = threading.Lock()
        self._counts: dict[_Series, float] = {}
        self._observations: dict[_Series, list[float]] = {}
        self._gauges: dict[str, dict[tuple[str, ...], Measurement]] = {}
        self._dropped = 0
        self._flush_seconds = flush_seconds
        self._closing = threading.Event()
        self._flusher = threading.Thread(target=self._flush_loop, name="dogstatsd", daemon=True)
        self._flusher.start()

    def record(self, measurement: Measurement) -> None:
        """Raises ValueError for labels that do not match the metric's."""
        metric, value, labels = measurement
        if len(labels) != len(metric.labels):
            raise ValueError(f"{metric.name} has the labels {metric.labels}, but the measurement has {len(labels)} values")
        with self._lock:
            match metric.kind:
                case Kind.COUNTER:
                    series = metric.name, metric.labels, labels
                    self._counts[series] = self._counts.get(series, 0) + value
                case Kind.HISTOGRAM:
                    self._observations.setdefault((metric.name, metric.labels, labels), []).append(value)
                case Kind.GAUGE:
                    self._gauges.setdefault(metric.name, {})[labels] = measurement
                case Kind.INFO:
                    self._gauges[metric.name] = {labels: measurement}

    def notify(self, notification: Notification) -> None:
        tags = [f"{label}:{value}" for label, value in notification.labels]
        self._statsd.event(notification.title, notification.text, alert_type=notification.level.value, tags=tags)

    def flush(self) -> None:
        """Hands the aggregated measurements to the sending thread."""
        with self._lock:
            counts, self._counts = self._counts, {}
            observations, self._observations = self._observations, {}
            gauges = [measurement for series in self._gauges.values() for measurement in series.values()]
        for (name, labels, values), count in counts.items():
            self._statsd.increment(name.removesuffix("_total"), count, tags=_tags(labels, values))
        for (name, labels, values), samples in observations.items():
            tags, rate = _tags(labels, values), min(1.0, _MAX_OBSERVATIONS / len(samples))
            for sample in samples:
                self._statsd.distribution(name, sample, tags=tags, sample_rate=rate)
        for gauge in gauges:
            self._statsd.gauge(gauge.metric.name, gauge.value, tags=_tags(gauge.metric.labels, gauge.labels))
        self._statsd.flush()
        self._report_losses()

    def close(self) -> None:
        self._closing.set()
        self._flusher.join()
        self.flush()
        # Waits until the sending thread has sent or dropped everything; `stop` alone does not.
        self._statsd.disable_background_sender(self._close_timeout_seconds)
        self._statsd.stop(2 * _SEND_TIMEOUT_SECONDS)
        self._report_losses()

    def _flush_loop(self) -> None:
        while not self._closing.wait(self._flush_seconds):
            self.flush()

    def _report_losses(self) -> None:
        before, self._dropped = self._dropped, self._statsd.packets_dropped
        if self._dropped > before:
            self._on_loss(self._dropped - before)


def _tags(labels: Sequence[str], values: Sequence[str]) -> list[str]:
    return [f"{label}:{value}" for label, value in zip(labels, values, strict=True)]


class _OnceFilter(logging.Filter):
    """Passes the first record of each message template."""

    def __init__(self) -> None:
        super().__init__()
        self._logged: set[object] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        new = record.msg not in self._logged
        self._logged.add(record.msg)
        return new


def _log_messages_once() -> None:
    """Limits the client's log. It reports an absent agent every second."""
    logger = logging.getLogger("datadog.dogstatsd")
    if not any(isinstance(each, _OnceFilter) for each in logger.filters):
        logger.addFilter(_OnceFilter())
