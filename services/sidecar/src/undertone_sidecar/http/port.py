"""The HTTP server in the sidecar's event loop."""

import asyncio
import socket
import tempfile
from pathlib import Path
from typing import Final

import grpc.aio
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from undertone_sidecar.errors import PortError

_CLOSE_SECONDS: Final = 0.5
"""Time to write the last answers."""


class HttpPort:
    """An HTTP server, and the private Unix socket through which it calls the gRPC server."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="undertone-http-")
        self._target = f"unix:{Path(self._folder.name) / 'grpc.sock'}"
        self._state = ServerState()
        self._servers: list[asyncio.Server] = []
        self.channel = grpc.aio.insecure_channel(self._target, [("grpc.enable_retries", 0)])
        """The channel to the gRPC server."""

    def attach(self, server: grpc.aio.Server) -> None:
        """Makes the gRPC server listen on the private socket. It must not have been started."""
        server.add_insecure_port(self._target)

    async def start(self, app: ASGIApp, host: str, port: int) -> int:
        """Listens, and returns the port. Raises PortError."""
        config = uvicorn.Config(
            app, ws="none", lifespan="off", log_config=None, access_log=False, proxy_headers=False, interface="asgi3"
        )
        config.load()
        loop = asyncio.get_running_loop()
        for listener in _sockets(host, port):
            self._servers.append(await loop.create_server(lambda: H11Protocol(config, self._state, {}, loop), sock=listener))
        number: int = self._servers[0].sockets[0].getsockname()[1]
        return number

    def end_connections(self) -> None:
        """Ends idle connections now, and the other connections after their answer."""
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
        for task in list(self._state.tasks):
            task.cancel()
        await self.channel.close()
        self._folder.cleanup()


def _sockets(host: str, port: int) -> list[socket.socket]:
    """Listening sockets on all addresses of a host, with one port. Raises PortError."""
    addresses = dict.fromkeys(
        (family, address[0]) for family, *_, address in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    )
    opened: list[socket.socket] = []
    for family, address in addresses:
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address, opened[0].getsockname()[1] if opened else port))
        except OSError:
            listener.close()
            for other in opened:
                other.close()
            raise PortError(
                f"--http-port {port} cannot be opened on {host}: "
                "another program may use it; use another port, or 0 for a free one"
            ) from None
        opened.append(listener)
    return opened
