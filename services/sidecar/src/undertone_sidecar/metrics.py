"""Events as Prometheus metrics, in its text format over HTTP."""

import threading
from typing import Final
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, start_http_server

from undertone_sidecar.events import (
    BatchSent,
    CallFinished,
    CallStarted,
    Event,
    ModelCallFinished,
    ParagraphsAnswered,
    ReadinessChanged,
    WorkDropped,
    WorkShed,
)

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_ITEMS: Final = (1, 2, 4, 8, 16, 32, 64, 128)
_TOKENS: Final = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
_RATIO: Final = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0)
_METHOD: Final = ("grpc_type", "grpc_service", "grpc_method")


class PrometheusMetrics:
    """A listener. The names of calls' metrics are those of the gRPC ecosystem, so that its dashboards fit."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._started = Counter("grpc_server_started_total", "Calls read.", _METHOD, registry=registry)
        self._handled = Counter("grpc_server_handled_total", "Calls ended.", (*_METHOD, "grpc_code"), registry=registry)
        self._handling = Histogram(
            "grpc_server_handling_seconds", "Call read to status sent.", _METHOD, buckets=_SECONDS, registry=registry
        )
        self._paragraphs = Counter("undertone_paragraphs_total", "Paragraphs ended.", ("code",), registry=registry)
        self._queue = Histogram(
            "undertone_queue_seconds", "Sequences' wait for the model server.", ("lane",), buckets=_SECONDS, registry=registry
        )
        self._batches = Counter(
            "undertone_batches_total",
            "Batches sent; prefetched ones were ready before the model server was.",
            ("lane", "prefetched"),
            registry=registry,
        )
        self._shed = Counter(
            "undertone_shed_paragraphs_total", "Paragraphs refused at once.", ("lane", "reason"), registry=registry
        )
        self._dropped = Counter(
            "undertone_dropped_sequences_total",
            "Sequences that left the queue before the model server was asked.",
            ("lane", "reason"),
            registry=registry,
        )
        self._items = Histogram("undertone_batch_items", "Sequences in a batch.", buckets=_ITEMS, registry=registry)
        self._tokens = Histogram(
            "undertone_batch_tokens", "Tokens in a batch, padding included.", buckets=_TOKENS, registry=registry
        )
        self._padding = Histogram(
            "undertone_batch_padding_ratio", "Part of a batch's tokens that is padding.", buckets=_RATIO, registry=registry
        )
        self._model_calls = Counter("undertone_model_calls_total", "Predict calls ended.", ("code",), registry=registry)
        self._model_seconds = Histogram(
            "undertone_model_call_seconds", "Predict call sent to answered.", buckets=_SECONDS, registry=registry
        )
        self._ready = Gauge("undertone_ready", "1 while a model is served.", registry=registry)
        self._version = Gauge("undertone_model_version", "Version that is, or was last, served.", registry=registry)

    def __call__(self, event: Event) -> None:
        match event:
            case CallStarted():
                self._started.labels(*_labels(event.method)).inc()
            case CallFinished():
                self._handled.labels(*_labels(event.method), event.code).inc()
                self._handling.labels(*_labels(event.method)).observe(event.seconds)
            case ParagraphsAnswered():
                self._paragraphs.labels(event.code).inc(event.count)
            case BatchSent():
                self._items.observe(event.items)
                self._tokens.observe(event.padded_tokens)
                self._padding.observe(1 - event.tokens / event.padded_tokens)
                self._batches.labels(event.lane, str(event.prefetched).lower()).inc()
                queue = self._queue.labels(event.lane)
                for seconds in event.queue_seconds:
                    queue.observe(seconds)
            case WorkShed():
                self._shed.labels(event.lane, event.reason).inc()
            case WorkDropped():
                self._dropped.labels(event.lane, event.reason).inc()
            case ModelCallFinished():
                self._model_calls.labels(event.code).inc()
                self._model_seconds.observe(event.seconds)
            case ReadinessChanged():
                self._ready.set(event.version is not None)
                if event.version is not None:
                    self._version.set(event.version)


class MetricsServer:
    """Serves a registry at http://host:port/metrics, from a thread of its own."""

    def __init__(self, metrics: PrometheusMetrics, host: str, port: int) -> None:
        """Raises OSError if the port cannot be opened; port 0 takes a free one."""
        self._server: WSGIServer
        self._thread: threading.Thread
        self._server, self._thread = start_http_server(port, host, registry=metrics.registry)

    @property
    def port(self) -> int:
        return self._server.server_port

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _labels(method: str) -> tuple[str, str, str]:
    """Of "/package.Service/Method"."""
    _, service, name = method.split("/")
    return "unary", service, name
