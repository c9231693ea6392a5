"""A stand-in for a Prometheus Pushgateway: an HTTP server that keeps what is pushed to it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import unquote

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

_PATIENCE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Push:
    """One request: POST adds to the group, PUT replaces it."""

    method: str
    path: str
    samples: tuple[Sample, ...]

    @property
    def job(self) -> str:
        """The group."""
        return unquote(self.path.removeprefix("/metrics/job/"))

    @property
    def names(self) -> set[str]:
        """Of the samples."""
        return {sample.name for sample in self.samples}

    def value(self, name: str, **labels: str) -> float | None:
        """Of the sample with exactly these labels; None if there is none."""
        return next((sample.value for sample in self.samples if (sample.name, sample.labels) == (name, labels)), None)


class Gateway:
    """Has an address for --pushgateway."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.pushes: list[Push] = []
        self._arrival = threading.Condition()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def take(self, push: Push) -> None:
        """Keep what has come."""
        with self._arrival:
            self.pushes.append(push)
            self._arrival.notify_all()

    def until_pushed(self, times: int) -> None:
        """Wait until so many pushes have come in all. Raises TimeoutError."""
        with self._arrival:
            if not self._arrival.wait_for(lambda: len(self.pushes) >= times, _PATIENCE_SECONDS):
                raise TimeoutError(f"{len(self.pushes)} pushes have come instead of {times}")


@contextmanager
def pushgateway(*, status: int = 202) -> Iterator[Gateway]:
    """Answers every push with `status`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self._keep()

        def do_PUT(self) -> None:
            self._keep()

        def _keep(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            samples = tuple(sample for family in text_string_to_metric_families(text) for sample in family.samples)
            gateway.take(Push(self.command, self.path, samples))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        gateway = Gateway(server.server_port)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield gateway
        finally:
            server.shutdown()
            thread.join()
