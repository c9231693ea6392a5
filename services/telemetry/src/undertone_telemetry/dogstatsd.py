"""Metrics and events for DataDog, over DogStatsD to an agent nearby."""

import logging
import math
import threading
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from datadog.dogstatsd.base import DogStatsd

from undertone_telemetry.address import parse_address
from undertone_telemetry.metric import Kind, Measurement
from undertone_telemetry.notice import Notice

_SAMPLES: Final = 64
"""Observations of one histogram and its tags that a flush sends, on average. Of more, so many are drawn, and sent with their
rate: DataDog's quantiles do not need them all, and each costs as much as a whole counter."""

_QUEUED_PACKETS: Final = 512
"""Waiting for an agent that is away or slow. Beyond, and after ten seconds, the oldest are dropped."""

_SEND_SECONDS: Final = 0.5
"""That the sending thread, and nobody else, waits for an agent that does not read."""


_Series: TypeAlias = tuple[str, tuple[str, ...], tuple[str, ...]]
"""A metric's name, its labels, and their values."""


class DogStatsD:
    """An adapter that sends metrics by the names of Prometheus, without `_total`; labels become tags, histograms distributions.

    Nothing that records waits for the agent: measurements are gathered in memory, one thread puts them into packets, another
    sends those. Gauges are said at each flush, as the agent forgets what was said once. `close` sends the rest. DD_ENV,
    DD_SERVICE, DD_VERSION and DD_ENTITY_ID become tags of everything.
    """

    name = "dogstatsd"

    def __init__(
        self, address: str, lost: Callable[[int], None], *, flush_seconds: float = 1.0, patience_seconds: float = 2.0
    ) -> None:
        """`address` is "host:port" or "unix:///path"; an agent need not be there yet. `lost` hears, in a thread of its own, how
        many packets could not be sent. Every `flush_seconds` what was gathered goes on its way; counters are summed up until
        then. `close` waits for about `patience_seconds` for an agent that is away or does not read. Raises ValueError for an
        address that is none."""
        host, port, path = parse_address(address)
        self._lost = lost
        self._flush_seconds = flush_seconds
        self._patience_seconds = patience_seconds
        # Its own flushing thread cannot be ended without a race for what is being flushed: an interval of 0 leaves it out.
        # Its aggregation takes several times as long as ours for each measurement. Its telemetry would be reset behind our
        # back, and says no more than `lost`.
        self._statsd = DogStatsd(
            host=host,
            port=port,
            socket_path=path,
            disable_buffering=False,
            flush_interval=0,
            disable_background_sender=False,
            sender_queue_size=_QUEUED_PACKETS,
            socket_timeout=_SEND_SECONDS,
            socket_connect_retry=True,
            telemetry_min_flush_interval=math.inf,  # type: ignore[arg-type]
        )
        _say_once()
        self._lock = threading.Lock()
        self._counts: dict[_Series, float] = {}
        self._observed: dict[_Series, list[float]] = {}
        self._gauges: dict[str, dict[tuple[str, ...], Measurement]] = {}
        self._dropped = 0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._flush_again_and_again, name="dogstatsd", daemon=True)
        self._thread.start()

    def record(self, measurement: Measurement) -> None:
        """Raises ValueError for labels that are not the metric's: here, where it harms nothing but this measurement."""
        metric, value, labels = measurement
        if len(labels) != len(metric.labels):
            raise ValueError(f"{metric.name} has the labels {metric.labels}, and was given {len(labels)} values")
        with self._lock:
            match metric.kind:
                case Kind.COUNTER:
                    series = metric.name, metric.labels, labels
                    self._counts[series] = self._counts.get(series, 0) + value
                case Kind.HISTOGRAM:
                    self._observed.setdefault((metric.name, metric.labels, labels), []).append(value)
                case Kind.GAUGE:
                    self._gauges.setdefault(metric.name, {})[labels] = measurement
                case Kind.INFO:
                    self._gauges[metric.name] = {labels: measurement}

    def tell(self, notice: Notice) -> None:
        tags = [f"{label}:{value}" for label, value in notice.labels]
        self._statsd.event(notice.title, notice.text, alert_type=notice.level.value, tags=tags)

    def flush(self) -> None:
        """Hands what was gathered to the sending thread."""
        with self._lock:
            counts, self._counts = self._counts, {}
            observed, self._observed = self._observed, {}
            gauges = [measurement for series in self._gauges.values() for measurement in series.values()]
        for (name, labels, values), count in counts.items():
            self._statsd.increment(name.removesuffix("_total"), count, tags=_tags(labels, values))
        for (name, labels, values), observations in observed.items():
            tags, rate = _tags(labels, values), min(1.0, _SAMPLES / len(observations))
            for observation in observations:
                self._statsd.distribution(name, observation, tags=tags, sample_rate=rate)
        for gauge in gauges:
            self._statsd.gauge(gauge.metric.name, gauge.value, tags=_tags(gauge.metric.labels, gauge.labels))
        self._statsd.flush()
        self._count_losses()

    def close(self) -> None:
        self._closing.set()
        self._thread.join()
        self.flush()
        # Ends the sending thread, which then has, or gives up on, everything; `stop` alone would not wait for the latter.
        self._statsd.disable_background_sender(self._patience_seconds)
        self._statsd.stop(2 * _SEND_SECONDS)
        self._count_losses()

    def _count_losses(self) -> None:
        dropped, self._dropped = self._dropped, self._statsd.packets_dropped
        if self._dropped > dropped:
            self._lost(self._dropped - dropped)

    def _flush_again_and_again(self) -> None:
        while not self._closing.wait(self._flush_seconds):
            self.flush()


def _tags(labels: Sequence[str], values: Sequence[str]) -> list[str]:
    return [f"{label}:{value}" for label, value in zip(labels, values, strict=True)]


class _Once(logging.Filter):
    """Lets each message through once, whatever it says besides."""

    def __init__(self) -> None:
        super().__init__()
        self._said: set[object] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        new = record.msg not in self._said
        self._said.add(record.msg)
        return new


def _say_once() -> None:
    """An agent that is away is worth a line of log, not one a second."""
    logger = logging.getLogger("datadog.dogstatsd")
    if not any(isinstance(known, _Once) for known in logger.filters):
        logger.addFilter(_Once())
