"""A fake of kube-state-metrics: an exporter of the series that the chart's rules use."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Gauge, start_http_server
from undertone_bench.envoy import LOOPBACK

AUTOSCALER = {"namespace": "reading", "horizontalpodautoscaler": "spring-undertone-inference"}
CRONJOB = {"namespace": "reading", "cronjob": "spring-undertone-daily"}


@dataclass(frozen=True, slots=True)
class KubeStateMetrics:
    """An autoscaler with 2 to 3 replicas, and a CronJob.

    `replicas` is the current number; `last_success` is in seconds since 1970.
    """

    port: int
    replicas: Gauge
    last_success: Gauge


@contextmanager
def kube_state_metrics(last_success: float) -> Iterator[KubeStateMetrics]:
    """Serves the metrics until the block ends."""
    registry = CollectorRegistry()

    def gauge(name: str, value: float, labels: dict[str, str]) -> Gauge:
        family = Gauge(name, "A metric of kube-state-metrics.", tuple(labels), registry=registry)
        series: Gauge = family.labels(**labels)
        series.set(value)
        return series

    gauge("kube_horizontalpodautoscaler_spec_min_replicas", 2, AUTOSCALER)
    gauge("kube_horizontalpodautoscaler_spec_max_replicas", 3, AUTOSCALER)
    gauge("kube_cronjob_created", 0, CRONJOB)
    gauge("kube_cronjob_spec_suspend", 0, CRONJOB)
    replicas = gauge("kube_horizontalpodautoscaler_status_current_replicas", 2, AUTOSCALER)
    succeeded = gauge("kube_cronjob_status_last_successful_time", last_success, CRONJOB)
    server, thread = start_http_server(0, LOOPBACK, registry=registry)
    try:
        yield KubeStateMetrics(server.server_port, replicas, succeeded)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
