"""A TCP relay between a client and a service, for network faults."""

import asyncio
import socket
import struct
from types import TracebackType
from typing import Self

CHUNK_BYTES = 65_536


class Relay:
    """Relays bytes between clients and `127.0.0.1:port`.

    Used as `async with Relay(service.port) as relay`.

    Attributes:
        port: the port that the relay listens on.
        connections: the number of connections so far.
    """

    def __init__(self, port: int) -> None:
        self.port = 0
        self.connections = 0
        self._service_port = port
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._pipes: set[asyncio.Task[None]] = set()

    @property
    def target(self) -> str:
        """The gRPC target of the relay."""
        return f"127.0.0.1:{self.port}"

    @property
    def stalled(self) -> bool:
        """Whether the relay holds back all bytes. Connections stay open."""
        return not self._flowing.is_set()

    @stalled.setter
    def stalled(self, stalled: bool) -> None:
        if stalled:
            self._flowing.clear()
        else:
            self._flowing.set()

    def reset(self) -> None:
        """Break all connections with RST, as a crashed host does. New connections work."""
        for writer in self._writers:
            # A linger time of 0 sends RST instead of FIN.
            connection = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
            self.reset()
            for pipe in self._pipes:
                pipe.cancel()
            await asyncio.gather(*self._pipes, return_exceptions=True)
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            service_reader, service_writer = await asyncio.open_connection("127.0.0.1", self._service_port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, service_writer}
        for source, sink in ((reader, service_writer), (service_reader, writer)):
            pipe = asyncio.create_task(self._copy(source, sink))
            self._pipes.add(pipe)
            pipe.add_done_callback(self._pipes.discard)

    async def _copy(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(CHUNK_BYTES):
                await self._flowing.wait()
                sink.write(data)
                await sink.drain()
        except OSError:
            pass  # either side reset the connection
        finally:
            self._writers.discard(sink)
            sink.close()
