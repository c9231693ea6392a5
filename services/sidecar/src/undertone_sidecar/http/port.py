"""The HTTP server in the sidecar's event loop."""

import asyncio
import logging
import socket
import ssl
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import grpc.aio
import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from undertone_protos.unix_address import unix_address_problem

from undertone_sidecar.errors import PortError
from undertone_sidecar.http.connection import Connection, ConnectionState
from undertone_sidecar.http.tls_handshake import TlsHandshake

_CLOSE_SECONDS: Final = 0.5
"""Time to write the last answers."""

_BACKLOG: Final = 1024
"""Connections that the kernel holds until they are accepted."""

_ACCEPTS: Final = 16
"""Connections that are accepted in one iteration of the event loop: asyncio's backlog."""

_RECEIVE_BUFFER_BYTES: Final = 64 * 1024
"""What the kernel and the event loop buffer of a connection before its request is read."""

_PRIVATE_OPTIONS: Final[Sequence[tuple[str, int]]] = (
    ("grpc.enable_retries", 0),
    ("grpc.max_receive_message_length", -1),
)


class HttpPort:
    """An HTTP server, and the private Unix socket through which it calls the gRPC server.

    The server is uvicorn's implementation of HTTP/1.1 over h11, in the running event loop.
    """

    def __init__(self, state: ConnectionState | None = None) -> None:
        """Opens no port. Raises PortError if there is no folder for the socket."""
        self._folder = _private_folder()
        self._target = f"unix:{Path(self._folder.name) / 'grpc.sock'}"
        self._state = state or ConnectionState()
        self._servers: list[asyncio.Server] = []
        self.channel = grpc.aio.insecure_channel(self._target, _PRIVATE_OPTIONS)
        """The channel to the gRPC server."""

    def attach(self, server: grpc.aio.Server) -> None:
        """Makes the gRPC server listen on the private socket. It must not have been started."""
        server.add_insecure_port(self._target)

    async def start(self, app: ASGIApp, host: str, port: int, context: Callable[[], ssl.SSLContext] | None = None) -> int:
        """Listens on all addresses of a host, and returns the port. Raises PortError.

        Args:
            app: Answers the requests.
            host: A name or an address.
            port: 0 picks a free one.
            context: Returns the TLS of a new connection. None for HTTP without TLS.
        """
        # Its warnings are about invalid requests, which callers could send without end.
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
        config = uvicorn.Config(
            self._counted(app),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            interface="asgi3",
            timeout_keep_alive=self._state.timeouts.idle,  # type: ignore[arg-type] # the time of a timer
        )
        config.load()
        loop = asyncio.get_running_loop()

        def protocol() -> asyncio.BaseProtocol:
            connection = Connection(config, self._state, loop)
            return TlsHandshake(connection, context(), loop) if context else connection

        for listener in _sockets(host, port):
            server = await loop.create_server(protocol, sock=listener, backlog=_ACCEPTS)
            listener.listen(_BACKLOG)
            self._servers.append(server)
        number: int = self._servers[0].sockets[0].getsockname()[1]
        return number

    def _counted(self, app: ASGIApp) -> ASGIApp:
        """The application, which reports the status of each answer."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            async def report(message: Message) -> None:
                if message["type"] == "http.response.start":
                    self._state.answered(message["status"])
                await send(message)

            await app(scope, receive, report)

        return answer

    def end_connections(self) -> None:
        """Ends connections between two requests now, and the others after their next answer."""
        self._state.draining = True
        for connection in list(self._state.connections):
            connection.shutdown()

    async def close(self) -> None:
        """Stops to listen, waits shortly for the last answers, and closes all connections."""
        for server in self._servers:
            server.close()
        self.end_connections()
        if self._state.tasks:
            await asyncio.wait(self._state.tasks, timeout=_CLOSE_SECONDS)
        for connection in list(self._state.connections):
            connection.transport.abort()
        for handshake in self._state.handshakes:
            handshake.cancel()
        await self.channel.close()
        self._folder.cleanup()


def _private_folder() -> "tempfile.TemporaryDirectory[str]":
    """A new folder that only this user can read."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="undertone-http-")
    except OSError as error:
        raise PortError(f"--http-port needs a temporary folder ({error}): set TMPDIR to a writable folder") from None
    if problem := unix_address_problem(f"unix:{folder.name}/grpc.sock"):
        folder.cleanup()
        raise PortError(f"--http-port needs a temporary folder with a shorter path: set TMPDIR ({problem})")
    return folder


def _sockets(host: str, port: int) -> list[socket.socket]:
    """Listening sockets on all addresses of a host, with one port. Raises PortError."""
    opened: list[socket.socket] = []
    try:
        addresses = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        for family, address in dict.fromkeys((family, address[0]) for family, *_, address in addresses):
            # With the protocol, for which asyncio sets TCP_NODELAY. Without it, answers take 40 ms.
            listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            opened.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as gRPC does
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
            listener.bind((address, opened[0].getsockname()[1] or port))
            listener.listen()
    except OSError:
        for listener in opened:
            listener.close()
        raise PortError(
            f"--http-port {port} cannot be opened on {host}: another program may use it; use another port, or 0 for a free one"
        ) from None
    return opened
