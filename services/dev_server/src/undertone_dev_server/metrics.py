"""Metrics with TF Serving's names, labels and meaning, and the page that shows them.

TF Serving counts every request by the name of the model in it, which is the caller's, and its
status. It measures successful requests only. Requests of the warm-up have no name of a model.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import grpc
from prometheus_client import CollectorRegistry, Gauge, Histogram, disable_created_metrics, generate_latest
from undertone_telemetry.page_server import PageServer

from undertone_dev_server.errors import CallError

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

LATENCY_BUCKETS_MICROSECONDS = tuple(10 * 1.8**power for power in range(33))
"""TF Serving's buckets."""


class Metrics:
    """Predict calls by model and status, latency of requests and of the graph, and the warm-up."""

    def __init__(self) -> None:
        # This applies to the whole process. TF Serving has no `_created` series.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        # A Gauge, because a Counter would be named ..._total.
        self._requests = Gauge(
            ":tensorflow:serving:request_count", "Requests answered.", ("model_name", "status"), registry=self.registry
        )
        self._request_latency = self._latency("request_latency", "of a successful request", "model_name", "API", "entrypoint")
        self._graph_latency = self._latency("runtime_latency", "of a successful run", "model_name", "API", "runtime")
        self._warmup_latency = self._latency("model_warmup_latency", "of the warm-up", "model_path", "status")

    def _latency(self, name: str, what: str, *labels: str) -> Histogram:
        return Histogram(
            f":tensorflow:serving:{name}",
            f"Latency {what} in microseconds.",
            labels,
            buckets=LATENCY_BUCKETS_MICROSECONDS,
            registry=self.registry,
        )

    @contextmanager
    def measure_request(self, model: str) -> Iterator[None]:
        """Records the request in the block."""
        start, status = time.monotonic(), grpc.StatusCode.OK
        try:
            yield
        except CallError as error:
            status = error.status
            raise
        except Exception:
            status = grpc.StatusCode.INTERNAL
            raise
        else:
            self._request_latency.labels(model, "Predict", "GRPC").observe(_microseconds_since(start))
        finally:
            self._requests.labels(model, status.name).inc()

    @contextmanager
    def measure_graph(self, model: str) -> Iterator[None]:
        """Records the run of the graph in the block, if it succeeds."""
        start = time.monotonic()
        yield
        self._graph_latency.labels(model, "Predict", "TF1").observe(_microseconds_since(start))

    @contextmanager
    def measure_warmup(self, folder: str) -> Iterator[None]:
        """Records the warm-up in the block, if it succeeds."""
        start = time.monotonic()
        yield
        self._warmup_latency.labels(folder, "OK").observe(_microseconds_since(start))


def _microseconds_since(start: float) -> float:
    return (time.monotonic() - start) * 1e6


def serve_metrics(metrics: Metrics, host: str, port: int, path: str) -> PageServer:
    """Serves the metrics at http://host:port/path. Other paths return 404.

    Port 0 selects a free port. Raises OSError if the port cannot be opened.
    """

    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ["PATH_INFO"] != path:
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [f"only {path} is served here\n".encode()]
        # As in TF Serving, the Accept header is ignored: OpenMetrics does not allow names that
        # begin with a colon.
        start_response("200 OK", [("Content-Type", "text/plain; version=0.0.4; charset=utf-8")])
        return [generate_latest(metrics.registry)]

    return PageServer(application, host, port)
