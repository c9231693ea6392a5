"""An HTTP server for a page of metrics, which idle and slow connections cannot block."""

import contextlib
import logging
import socket
import socketserver
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

MAX_CONNECTIONS: Final = 16
"""Open connections, with one thread each. A further connection closes the oldest one."""

TIMEOUT_SECONDS: Final = 10.0
"""The time in which a connection must send, and accept, the next bytes."""

log = logging.getLogger(__name__)


class PageServer:
    """Serves a WSGI application at http://host:port in threads of its own."""

    def __init__(
        self,
        application: "WSGIApplication",
        host: str,
        port: int,
        *,
        max_connections: int = MAX_CONNECTIONS,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        """Listens. Raises OSError if the port cannot be opened. Port 0 picks a free one."""
        self._server = _Server(host, port, max_connections, timeout_seconds)
        self._server.set_app(_one_at_a_time(application))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="metrics-page", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that is open."""
        return self._server.server_port

    def close(self) -> None:
        """Stops to listen, and closes all connections."""
        self._server.shutdown()
        self._server.server_close()
        self._server.close_connections()
        self._thread.join()


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, host: str, port: int, max_connections: int, timeout_seconds: float) -> None:
        self._max_connections = max_connections
        self._connections: dict[socket.socket, None] = {}
        self._lock = threading.Lock()
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        self.address_family = family
        handler = type("_Handler", (_Handler,), {"timeout": timeout_seconds})
        super().__init__(address[:2], handler)  # type: ignore[arg-type] # an address of IPv6 begins with host and port, too

    def server_bind(self) -> None:
        # The base class looks up the name of the host, which takes long while the DNS is down.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            if len(self._connections) >= self._max_connections:
                _end(self._connections, next(iter(self._connections)))
            self._connections[request] = None
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Timeouts and closed connections end a connection without a traceback."""
        log.debug("a connection to the page of metrics ended", exc_info=True)

    def close_connections(self) -> None:
        with self._lock:
            for request in list(self._connections):
                _end(self._connections, request)


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Requests are not logged."""


def _end(connections: dict[socket.socket, None], connection: socket.socket) -> None:
    """Ends a connection. Its thread, which waits for the peer, closes it."""
    del connections[connection]
    with contextlib.suppress(OSError):  # the peer has closed it
        connection.shutdown(socket.SHUT_RDWR)


def _one_at_a_time(application: "WSGIApplication") -> "WSGIApplication":
    """Creates one page at a time. Concurrent requests would take the interpreter from the threads
    that serve calls.
    """
    lock = threading.Lock()

    def locked(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        with lock:
            return application(environ, start_response)

    return locked
