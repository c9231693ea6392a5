"""Metrics with TF Serving's names, and the HTTP server that exposes them."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import grpc
from prometheus_client import CollectorRegistry, Gauge, Histogram, disable_created_metrics, generate_latest

from undertone_dev_server.errors import CallError

LATENCY_BUCKETS_MICROSECONDS = tuple(10 * 1.8**power for power in range(33))
"""TF Serving's buckets."""


class Metrics:
    """Predict calls: count by model and status, latency of the request and latency of the graph."""

    def __init__(self) -> None:
        # This applies to the whole process. TF Serving has no `_created` series.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        # A Gauge, because a Counter would be named ..._total.
        self._requests = Gauge(
            ":tensorflow:serving:request_count", "Requests answered.", ("model_name", "status"), registry=self.registry
        )
        self._request_latency = self._latency("request_latency", "Latency of a request in microseconds.", "entrypoint")
        self._graph_latency = self._latency("runtime_latency", "Latency of the graph in microseconds.", "runtime")

    def _latency(self, name: str, documentation: str, label: str) -> Histogram:
        return Histogram(
            f":tensorflow:serving:{name}",
            documentation,
            ("model_name", "API", label),
            buckets=LATENCY_BUCKETS_MICROSECONDS,
            registry=self.registry,
        )

    @contextmanager
    def measure_request(self, model: str) -> Iterator[None]:
        """Records the request in the block. NOT_FOUND is not recorded: clients could create any
        number of model names.
        """
        start, status = time.monotonic(), grpc.StatusCode.OK
        try:
            yield
        except CallError as error:
            status = error.status
            raise
        except Exception:
            status = grpc.StatusCode.INTERNAL
            raise
        finally:
            if status is not grpc.StatusCode.NOT_FOUND:
                self._requests.labels(model, status.name).inc()
                self._request_latency.labels(model, "predict", "GRPC").observe(_microseconds_since(start))

    @contextmanager
    def measure_graph(self, model: str) -> Iterator[None]:
        """Records the run of the graph in the block, if it succeeds."""
        start = time.monotonic()
        yield
        self._graph_latency.labels(model, "Predict", "TF1").observe(_microseconds_since(start))


def _microseconds_since(start: float) -> float:
    return (time.monotonic() - start) * 1e6


class MetricsServer:
    """Serves the metrics at http://host:port/path in a thread. Other paths return 404."""

    def __init__(self, metrics: Metrics, host: str, port: int, path: str) -> None:
        """Port 0 selects a free port. Raises OSError if the port cannot be opened."""

        def application(environ: Any, start_response: Callable[..., Any]) -> Iterable[bytes]:
            if environ["PATH_INFO"] != path:
                start_response("404 Not Found", [("Content-Type", "text/plain")])
                return [f"only {path} is served here\n".encode()]
            # As in TF Serving, the Accept header is ignored: OpenMetrics does not allow names that
            # begin with a colon.
            start_response("200 OK", [("Content-Type", "text/plain; version=0.0.4; charset=utf-8")])
            return [generate_latest(metrics.registry)]

        self._server = make_server(host, port, application, handler_class=_SilentHandler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return self._server.server_port

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _SilentHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Scrapes are not logged."""
