"""Metrics by TF Serving's names, of what this server does of it, and the page that has them."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import grpc
from prometheus_client import CollectorRegistry, Gauge, Histogram, disable_created_metrics, generate_latest

from undertone_dev_server.errors import CallError

MICROSECONDS = tuple(10 * 1.8**power for power in range(33))
"""TF Serving's buckets of latency."""


class Metrics:
    """Predict calls: how many by model and status, how long they took, and how long the graph did."""

    def __init__(self) -> None:
        # Of the whole process: TF Serving does not say when a series was born.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        # A Counter would be called ..._total, which TF Serving's is not.
        self._requests = Gauge(
            ":tensorflow:serving:request_count", "Requests answered.", ("model_name", "status"), registry=self.registry
        )
        self._request_latency = Histogram(
            ":tensorflow:serving:request_latency",
            "Microseconds of a request.",
            ("model_name", "API", "entrypoint"),
            buckets=MICROSECONDS,
            registry=self.registry,
        )
        self._runtime_latency = Histogram(
            ":tensorflow:serving:runtime_latency",
            "Microseconds of the graph.",
            ("model_name", "API", "runtime"),
            buckets=MICROSECONDS,
            registry=self.registry,
        )

    @contextmanager
    def predicting(self, model: str) -> Iterator[None]:
        """Around a request. Names of models that are not served are not kept: callers could invent any number."""
        begun, status = time.monotonic(), grpc.StatusCode.OK
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
                self._request_latency.labels(model, "predict", "GRPC").observe(_microseconds_since(begun))

    @contextmanager
    def running(self, model: str) -> Iterator[None]:
        """Around the graph."""
        begun = time.monotonic()
        yield
        self._runtime_latency.labels(model, "Predict", "TF1").observe(_microseconds_since(begun))


def _microseconds_since(begun: float) -> float:
    return (time.monotonic() - begun) * 1e6


class MetricsPage:
    """Serves metrics at http://host:port/path, and nothing else, from a thread of its own."""

    def __init__(self, metrics: Metrics, host: str, port: int, path: str) -> None:
        """Raises OSError if the port cannot be opened; port 0 takes a free one."""

        def answer(environ: Any, start_response: Callable[..., Any]) -> Iterable[bytes]:
            if environ["PATH_INFO"] != path:
                start_response("404 Not Found", [("Content-Type", "text/plain")])
                return [f"only {path} is here\n".encode()]
            # In this format whatever is asked for, as TF Serving does: the newer one has no names that begin with a colon.
            start_response("200 OK", [("Content-Type", "text/plain; version=0.0.4; charset=utf-8")])
            return [generate_latest(metrics.registry)]

        self._server = make_server(host, port, answer, handler_class=_Silent)
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return self._server.server_port

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """A scrape is not worth a line of log."""
