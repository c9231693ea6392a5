"""Metrics for Prometheus: an adapter, the HTTP endpoint, and pushes to a Pushgateway.

Needs the extra `undertone-telemetry[prometheus]`.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Final, Protocol
from urllib.error import HTTPError
from urllib.parse import urlsplit

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    make_wsgi_app,
    pushadd_to_gateway,
)
from prometheus_client.registry import Collector

from undertone_telemetry.metrics import Kind, Measurement, Metric, Notification
from undertone_telemetry.page_server import PageServer

PUSH_TIMEOUT_SECONDS: Final = 3.0

log = logging.getLogger(__name__)


class PrometheusAdapter:
    """Keeps the metrics of a catalogue, and of the process, in its own registry."""

    name = "prometheus"

    def __init__(self, catalogue: Iterable[Metric]) -> None:
        """Raises ValueError if two metrics have the same name."""
        # Affects the whole process. Otherwise each series has a second one with the time of its
        # creation.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._families = {metric.name: _family(metric, self.registry) for metric in catalogue}
        # A cache: prometheus_client's lookup of a series takes longer than everything else.
        self._setters: dict[tuple[str, tuple[str, ...]], Callable[[float], None]] = {}
        self._info_labels: dict[str, tuple[str, ...]] = {}

    def record(self, measurement: Measurement) -> None:
        """Records a measurement.

        Raises:
            KeyError: the metric is not in the catalogue.
            ValueError: the labels do not match the metric's.
        """
        key = measurement.metric.name, measurement.labels
        setter = self._setters.get(key)
        if setter is None:
            setter = self._setters[key] = self._setter(measurement)
        setter(measurement.value)
        if measurement.metric.kind is Kind.INFO:
            self._remove_previous(measurement)

    def notify(self, notification: Notification) -> None:
        """Does nothing: Prometheus has no notifications."""

    def close(self) -> None:
        """Does nothing: Prometheus scrapes."""

    def _setter(self, measurement: Measurement) -> Callable[[float], None]:
        family = self._families[measurement.metric.name]
        series = family.labels(*measurement.labels) if measurement.metric.labels or measurement.labels else family
        if isinstance(series, Counter):
            return series.inc
        return series.observe if isinstance(series, Histogram) else series.set

    def _remove_previous(self, info: Measurement) -> None:
        name, previous = info.metric.name, self._info_labels.get(info.metric.name)
        if previous is not None and previous != info.labels:
            self._families[name].remove(*previous)
            del self._setters[name, previous]
        self._info_labels[name] = info.labels


class MetricsServer:
    """Serves a registry at http://host:port/metrics, in its own threads."""

    def __init__(self, adapter: PrometheusAdapter, host: str, port: int) -> None:
        """Raises OSError if the port cannot be opened. Port 0 picks a free one."""
        self._server = PageServer(make_wsgi_app(adapter.registry), host, port)

    @property
    def port(self) -> int:
        return self._server.port

    def close(self) -> None:
        self._server.close()


class Push(Protocol):
    """The signature of `prometheus_client.pushadd_to_gateway`."""

    def __call__(
        self, gateway: str, job: str, registry: Collector, *, grouping_key: dict[str, str], timeout: float
    ) -> None: ...


class PushgatewayPusher:
    """Pushes some metrics of a registry to a Prometheus Pushgateway."""

    def __init__(
        self,
        url: str,
        job: str,
        adapter: PrometheusAdapter,
        catalogue: Iterable[Metric],
        on_failure: Callable[[], None],
        *,
        namespace: str = "",
        push: Push = pushadd_to_gateway,
    ) -> None:
        """
        Args:
            url: The Pushgateway.
            job: The group of the metrics. A push adds to the group instead of replacing it, so that
                the time of the last success remains until the next success.
            catalogue: The metrics to push. A Pushgateway keeps them after the process has ended, so
                metrics that describe a running process do not belong there.
            on_failure: Called after each failed push.
            namespace: Part of the group and a label of its metrics. Empty adds no label.
            push: Sends the metrics. Tests replace it.
        """
        self._url = url
        self._job = job
        self._grouping_key = {"namespace": namespace} if namespace else {}
        self._metrics = adapter.registry.restricted_registry([metric.name for metric in catalogue])
        self._on_failure = on_failure
        self._push = push
        self._logged = False

    def __call__(self) -> None:
        """Pushes once. Raises nothing; the first failure is logged."""
        try:
            self._push(self._url, self._job, self._metrics, grouping_key=self._grouping_key, timeout=PUSH_TIMEOUT_SECONDS)
        except Exception as error:
            if isinstance(error, HTTPError):
                error.close()  # otherwise the connection stays open
            self._on_failure()
            if not self._logged:
                self._logged = True
                parts = urlsplit(self._url)
                address = f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname  # without a password
                log.warning("the Pushgateway at %s rejects metrics (%s); further failures are only counted", address, error)


def _family(metric: Metric, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
    match metric.kind:
        case Kind.COUNTER:
            return Counter(metric.name, metric.help, metric.labels, registry=registry)
        case Kind.GAUGE | Kind.INFO:
            return Gauge(metric.name, metric.help, metric.labels, registry=registry)
        case Kind.HISTOGRAM:
            return Histogram(metric.name, metric.help, metric.labels, registry=registry, buckets=metric.buckets)
