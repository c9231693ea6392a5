"""Metrics and events for DataDog, over DogStatsD to an agent nearby."""

import logging
import math
import threading
from collections.abc import Callable
from typing import Final

from datadog.dogstatsd.base import DogStatsd

from undertone_telemetry.address import parse_address
from undertone_telemetry.metric import Kind, Measurement
from undertone_telemetry.notice import Notice

_SAMPLES: Final = 256
"""Observations of one histogram and its tags that a flush sends. Of more, so many are drawn, and sent with their rate."""

_GAUGES_EVERY: Final = 10
"""Flushes after which gauges are said again: the agent forgets what was said once, and most of ours change seldom."""

_QUEUED_PACKETS: Final = 512
"""Waiting for an agent that is away or slow. Beyond, and after ten seconds, the oldest are dropped."""

_SEND_SECONDS: Final = 0.5
"""That the sending thread, and nobody else, waits for an agent that does not read."""


class DogStatsD:
    """An adapter that sends metrics by the names of Prometheus, without `_total`; labels become tags, histograms distributions.

    Nothing that records waits for the agent: measurements are gathered in memory, one thread puts them into packets, another
    sends those. `close` sends the rest. DD_ENV, DD_SERVICE, DD_VERSION and DD_ENTITY_ID become tags of everything.
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
        # Its telemetry would be reset behind our back, and says no more than `lost`.
        self._statsd = DogStatsd(
            host=host,
            port=port,
            socket_path=path,
            disable_buffering=False,
            disable_aggregation=False,
            flush_interval=0,
            max_metric_samples_per_context=_SAMPLES,
            disable_background_sender=False,
            sender_queue_size=_QUEUED_PACKETS,
            socket_timeout=_SEND_SECONDS,
            socket_connect_retry=True,
            telemetry_min_flush_interval=math.inf,  # type: ignore[arg-type]
        )
        _say_once()
        self._series: dict[tuple[str, tuple[str, ...]], tuple[str, list[str]]] = {}
        self._gauges: dict[str, dict[tuple[str, ...], float]] = {}
        self._gauges_lock = threading.Lock()
        self._dropped = 0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._flush_again_and_again, name="dogstatsd", daemon=True)
        self._thread.start()

    def record(self, measurement: Measurement) -> None:
        metric, labels = measurement.metric, measurement.labels
        key = metric.name, labels
        if key not in self._series:
            tags = [f"{label}:{value}" for label, value in zip(metric.labels, labels, strict=True)]
            self._series[key] = metric.name.removesuffix("_total"), tags
        name, tags = self._series[key]
        match metric.kind:
            case Kind.COUNTER:
                self._statsd.increment(name, measurement.value, tags=tags)
            case Kind.HISTOGRAM:
                self._statsd.distribution(name, measurement.value, tags=tags)
            case Kind.GAUGE | Kind.INFO:
                with self._gauges_lock:
                    if metric.kind is Kind.INFO:
                        self._gauges[metric.name] = {}
                    self._gauges.setdefault(metric.name, {})[labels] = measurement.value
                    self._statsd.gauge(name, measurement.value, tags=tags)

    def tell(self, notice: Notice) -> None:
        tags = [f"{label}:{value}" for label, value in notice.labels]
        self._statsd.event(notice.title, notice.text, alert_type=notice.level.value, tags=tags)

    def flush(self) -> None:
        """Hands what was gathered to the sending thread."""
        self._statsd.flush_aggregated_metrics()
        self._statsd.flush()
        self._count_losses()

    def repeat(self) -> None:
        """Says all gauges again."""
        with self._gauges_lock:
            for name, series in self._gauges.items():
                for labels, value in series.items():
                    self._statsd.gauge(name, value, tags=self._series[name, labels][1])

    def close(self) -> None:
        self._closing.set()
        self._thread.join()
        self.repeat()
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
        flushes = 0
        while not self._closing.wait(self._flush_seconds):
            flushes += 1
            if flushes % _GAUGES_EVERY == 0:
                self.repeat()
            self.flush()


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
