"""Metrics for Prometheus, in its text format over HTTP."""

import threading
from collections.abc import Callable, Iterable
from wsgiref.simple_server import WSGIServer

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    start_http_server,
)

from undertone_telemetry.metric import Kind, Measurement, Metric
from undertone_telemetry.notice import Notice


class Prometheus:
    """An adapter that keeps the metrics of a catalogue, and of the process, in a registry of its own."""

    name = "prometheus"

    def __init__(self, catalogue: Iterable[Metric]) -> None:
        """Raises ValueError if two metrics share a name."""
        # Of the whole process: else each series would be followed by the time of its birth, as a metric of its own.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._families = {metric.name: _family(metric, self.registry) for metric in catalogue}
        self._takers: dict[tuple[str, tuple[str, ...]], Callable[[float], None]] = {}
        self._said: dict[str, tuple[str, ...]] = {}

    def record(self, measurement: Measurement) -> None:
        """Raises KeyError for a metric that is not in the catalogue, ValueError for labels that are not the metric's."""
        # Remembered, as prometheus_client's own search for a series takes longer than all the rest.
        key = measurement.metric.name, measurement.labels
        take = self._takers.get(key)
        if take is None:
            take = self._takers[key] = self._taker(measurement)
        take(measurement.value)
        if measurement.metric.kind is Kind.INFO:
            self._forget_all_but(measurement)

    def tell(self, notice: Notice) -> None:
        """Prometheus has no place for it."""

    def close(self) -> None:
        """Nothing to send: Prometheus comes by itself."""

    def _taker(self, measurement: Measurement) -> Callable[[float], None]:
        """What to call with the value."""
        family = self._families[measurement.metric.name]
        series = family.labels(*measurement.labels) if measurement.metric.labels or measurement.labels else family
        if isinstance(series, Counter):
            return series.inc
        return series.observe if isinstance(series, Histogram) else series.set

    def _forget_all_but(self, info: Measurement) -> None:
        name, said = info.metric.name, self._said.get(info.metric.name)
        if said is not None and said != info.labels:
            self._families[name].remove(*said)
            del self._takers[name, said]
        self._said[name] = info.labels


class MetricsServer:
    """Serves a registry at http://host:port/metrics, from a thread of its own."""

    def __init__(self, prometheus: Prometheus, host: str, port: int) -> None:
        """Raises OSError if the port cannot be opened; port 0 takes a free one."""
        self._server: WSGIServer
        self._thread: threading.Thread
        self._server, self._thread = start_http_server(port, host, registry=prometheus.registry)

    @property
    def port(self) -> int:
        return self._server.server_port

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _family(metric: Metric, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
    match metric.kind:
        case Kind.COUNTER:
            return Counter(metric.name, metric.help, metric.labels, registry=registry)
        case Kind.GAUGE | Kind.INFO:
            return Gauge(metric.name, metric.help, metric.labels, registry=registry)
        case Kind.HISTOGRAM:
            return Histogram(metric.name, metric.help, metric.labels, registry=registry, buckets=metric.buckets)
