"""TLS of new connections of the HTTP port, within its limit of connections."""

import asyncio
import ssl
from typing import Final

from undertone_sidecar.http.connection import Connection

TLS_CONNECTION_UNITS: Final = 4
"""Units of the limit for a connection. asyncio's TLS needs 300 kB for each, from the start."""


class TlsHandshake(asyncio.Protocol):
    """Counts a connection, and hands it over to `Connection` after the TLS handshake.

    A TLS server of asyncio does not count connections before the end of their handshake, so callers
    that send nothing could open any number.
    """

    def __init__(self, connection: Connection, context: ssl.SSLContext, loop: asyncio.AbstractEventLoop) -> None:
        self._connection = connection
        self._context = context
        self._loop = loop
        self._state = connection.server_state
        self._received: list[bytes] = []

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        if self._connection.admit(transport, TLS_CONNECTION_UNITS):
            transport.pause_reading()
            handshakes = self._state.handshakes
            task = self._loop.create_task(self._start(transport))
            handshakes.add(task)
            task.add_done_callback(handshakes.discard)

    def data_received(self, data: bytes) -> None:
        # What is decrypted between the end of the handshake and the next step of the task.
        self._received.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection.release()

    async def _start(self, transport: asyncio.Transport) -> None:
        tls: asyncio.Transport | None = None
        try:
            tls = await self._loop.start_tls(
                transport, self, self._context, server_side=True, ssl_handshake_timeout=self._state.timeouts.handshake
            )
        except OSError:  # such as ssl.SSLError and the end of the time
            pass
        finally:
            if tls is None:  # also if the caller ended the connection
                transport.abort()
                self._connection.release()
        if tls is not None:
            tls.set_protocol(self._connection)
            self._connection.connection_made(tls)
            for data in self._received:
                self._connection.data_received(data)
