"""A wire that can be cut: a TCP relay between a client and a service."""

import asyncio
import socket
import struct
from types import TracebackType
from typing import Self

CHUNK_BYTES = 65_536


class Relay:
    """Passes bytes on between clients and `127.0.0.1:port`, used as `async with Relay(service.port) as relay`.

    `reset` breaks every connection as a crashed host or an impatient balancer does, with RST; new ones work. While `stalled` is
    set, connections stay open and nothing gets through. `connections` counts those that were ever made.
    """

    def __init__(self, port: int) -> None:
        self.port = 0
        self.connections = 0
        self._to = port
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
        """Whether nothing gets through."""
        return not self._flowing.is_set()

    @stalled.setter
    def stalled(self, stalled: bool) -> None:
        if stalled:
            self._flowing.clear()
        else:
            self._flowing.set()

    def reset(self) -> None:
        """Break all connections."""
        for writer in self._writers:
            # A linger time of zero sends RST instead of FIN.
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
            there, back = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, back}
        for source, sink in ((reader, back), (there, writer)):
            pipe = asyncio.create_task(self._pass_on(source, sink))
            self._pipes.add(pipe)
            pipe.add_done_callback(self._pipes.discard)

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(CHUNK_BYTES):
                await self._flowing.wait()
                sink.write(data)
                await sink.drain()
        except OSError:
            pass  # reset, from either side
        finally:
            self._writers.discard(sink)
            sink.close()
