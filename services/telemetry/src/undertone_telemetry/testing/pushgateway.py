"""A fake Prometheus Pushgateway: an HTTP server that keeps the pushes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import unquote

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

_TIMEOUT_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Push:
    """One push. POST adds to the group, PUT replaces it."""

    method: str
    path: str
    samples: tuple[Sample, ...]

    @property
    def job(self) -> str:
        """The name of the job, the first part of the group."""
        return unquote(self.path.removeprefix("/metrics/job/").partition("/")[0])

    @property
    def names(self) -> set[str]:
        """The names of the samples."""
        return {sample.name for sample in self.samples}

    def value(self, name: str, **labels: str) -> float | None:
        """The value of the sample with exactly these labels; None if it is absent."""
        return next((sample.value for sample in self.samples if (sample.name, sample.labels) == (name, labels)), None)


class FakePushgateway:
    """Keeps the pushes. `url` is for --pushgateway."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.pushes: list[Push] = []
        self._received = threading.Condition()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def add(self, push: Push) -> None:
        with self._received:
            self.pushes.append(push)
            self._received.notify_all()

    def wait_for_pushes(self, count: int) -> None:
        """Waits until there are `count` pushes in all. Raises TimeoutError."""
        with self._received:
            if not self._received.wait_for(lambda: len(self.pushes) >= count, _TIMEOUT_SECONDS):
                raise TimeoutError(f"received {len(self.pushes)} of {count} pushes")


@contextmanager
def pushgateway(*, status: int = 202) -> Iterator[FakePushgateway]:
    """A Pushgateway that answers every push with `status`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self._add()

        def do_PUT(self) -> None:
            self._add()

        def _add(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            samples = tuple(sample for family in text_string_to_metric_families(text) for sample in family.samples)
            gateway.add(Push(self.command, self.path, samples))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Logs nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        gateway = FakePushgateway(server.server_port)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield gateway
        finally:
            server.shutdown()
            thread.join()
