"""A connection of the HTTP port: uvicorn's, with the limits and timeouts that uvicorn lacks."""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import lru_cache
from typing import Any, Final

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol
from uvicorn.protocols.utils import get_remote_addr
from uvicorn.server import ServerState

from undertone_sidecar.caller import caller_of
from undertone_sidecar.http.identity import peer_of
from undertone_sidecar.shared_limit import SharedLimit

MAX_HEAD_BYTES: Final = 16 * 1024
"""Maximum size of the request line and the headers."""

MAX_CONNECTIONS: Final = 1024

_CLOSE: Final = (b"connection", b"close")

_LENGTHS: Final = {b"content-length", b"transfer-encoding"}

_PROTOCOL_ERRORS: Final = {
    400: (3, "the request is not valid HTTP/1.1"),
    431: (3, f"the headers are larger than {MAX_HEAD_BYTES} bytes: send shorter ones"),
    501: (12, "the transfer encoding is not supported: send chunked, or a content-length"),
}
"""gRPC code and message by HTTP status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionTimeouts:
    """Times in seconds, after which a connection ends.

    Attributes:
        handshake: For the TLS handshake.
        head: For the request line and the headers, from the first byte or the start of the
            connection.
        discard: For the rest of a body after the answer.
        write: For a caller that does not read its answer.
        idle: Between two requests.
    """

    handshake: float = 10.0
    head: float = 10.0
    discard: float = 10.0
    write: float = 20.0
    idle: float = 60.0


@dataclass(slots=True)
class ConnectionState(ServerState):
    """What the connections of a port share.

    Attributes:
        timeouts: The timeouts of each connection.
        max_discarded_bytes: Maximum rest of a body that is read after the answer, so that the
            caller reads the answer.
        limit: Counts the connections. Hosts share it.
        draining: Whether each connection ends after its next answer.
        handshakes: The TLS handshakes in progress.
        answered: Receives the HTTP status of each answer.
    """

    timeouts: ConnectionTimeouts = field(default_factory=ConnectionTimeouts)
    max_discarded_bytes: int = 16 * 2**20
    limit: SharedLimit = field(default_factory=lambda: SharedLimit(MAX_CONNECTIONS))
    draining: bool = False
    handshakes: set[asyncio.Task[None]] = field(default_factory=set)
    answered: Callable[[int], None] = lambda _: None

    def __post_init__(self) -> None:
        ServerState.__init__(self)


class Connection(H11Protocol):
    """Ends connections of callers that are too slow, and answers invalid HTTP in JSON."""

    server_state: ConnectionState

    def __init__(self, config: uvicorn.Config, state: ConnectionState, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(config, state, {}, loop)
        self.conn = self._parser = _ParserWithStatus(h11.SERVER, MAX_HEAD_BYTES)
        self._host = ""
        self._units = 0
        self._reading: asyncio.TimerHandle | None = None
        self._writing: asyncio.TimerHandle | None = None
        self._discarded = 0

    def admit(self, transport: asyncio.Transport, units: int = 1) -> bool:
        """Counts the connection as so many of the limit. If they do not fit, aborts it."""
        address = get_remote_addr(transport)
        self._host = caller_of((), peer=peer_of(address[0] if address else ""), trust_metadata=False)
        if not self.server_state.limit.fits(self._host, units):
            transport.abort()
            return False
        self.server_state.limit.add(self._host, units)
        self._units = units
        return True

    def release(self) -> None:
        """Counts the connection no longer. A second call changes nothing."""
        if self._units:
            self.server_state.limit.remove(self._host, self._units)
            self._units = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        super().connection_made(transport)
        if not self._units and not self.admit(transport):
            return
        self.app_state = {"certificate_names": _certificate_names(transport)}
        # So that pause_writing is called for each answer that the caller does not read at once.
        transport.set_write_buffer_limits(high=1)  # asyncio never resumes TLS with 0
        self._watch_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        for timer in (self._reading, self._writing):
            if timer:
                timer.cancel()
        self.release()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        state = self.server_state
        state.default_headers = _default_headers(int(time.time()), closing=state.draining)
        if self._discards():
            self._discarded += len(data)
            if self._discarded > state.max_discarded_bytes:
                self.transport.abort()
                return
        super().data_received(data)
        self._watch_reading()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.transport.is_closing():
            self._watch_reading()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._writing is None:
            self._writing = self.loop.call_later(self.server_state.timeouts.write, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._writing:
            self._writing.cancel()
            self._writing = None

    def shutdown(self) -> None:
        """Ends the connection, after the answer if there is a request.

        If there was no request yet, it ends after the first answer: the request may be on the way.
        """
        if self.cycle is None:
            return
        if self.conn.our_state is h11.SEND_RESPONSE:
            self.cycle.default_headers = [*self.cycle.default_headers, _CLOSE]
        if not self.transport.is_closing():
            super().shutdown()

    def send_400_response(self, msg: str) -> None:
        """Answers a request that is not valid HTTP, and ends the connection."""
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            status = self._parser.status if self._parser.status in _PROTOCOL_ERRORS else 400
            code, message = _PROTOCOL_ERRORS[status]
            body = json.dumps({"code": code, "message": message, "details": []}).encode()
            length = str(len(body)).encode()
            headers = [(b"content-type", b"application/json"), (b"content-length", length), _CLOSE]
            response = h11.Response(
                status_code=status, headers=[*self.server_state.default_headers, *headers], reason=STATUS_PHRASES[status]
            )
            for event in (response, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
            self.server_state.answered(status)
        self.transport.close()

    def _should_upgrade(self) -> bool:
        return False

    def _discards(self) -> bool:
        """Whether the rest of a body follows after the answer."""
        return self.conn.their_state is h11.SEND_BODY and self.cycle.response_complete

    def _watch_reading(self) -> None:
        """Starts or stops the timer for what the caller must send now."""
        timeouts = self.server_state.timeouts
        discards = self._discards()
        is_head = self.conn.their_state is h11.IDLE and self.timeout_keep_alive_task is None
        if not (discards or is_head):
            if self._reading:
                self._reading.cancel()
                self._reading = None
            self._discarded = 0
        elif self._reading is None:
            self._reading = self.loop.call_later(timeouts.discard if discards else timeouts.head, self.transport.abort)


class _ParserWithStatus(h11.Connection):
    """Remembers the HTTP status of a protocol error, which uvicorn ignores.

    Refuses a request with content-length and transfer-encoding, of which h11 ignores the former. A
    proxy that ignores the latter would see another request in the body.
    """

    status = 400

    def next_event(self) -> Any:
        try:
            event = super().next_event()
        except h11.RemoteProtocolError as error:
            self.status = error.error_status_hint
            raise
        if isinstance(event, h11.Request) and {name for name, _ in event.headers} >= _LENGTHS:
            raise h11.RemoteProtocolError("content-length with transfer-encoding")
        return event


@lru_cache(maxsize=2)
def _default_headers(now: int, *, closing: bool) -> list[tuple[bytes, bytes]]:
    """Headers of each answer. `now` is in seconds since 1970."""
    headers = [(b"date", formatdate(now, usegmt=True).encode()), (b"x-content-type-options", b"nosniff")]
    return [*headers, _CLOSE] if closing else headers


def _certificate_names(transport: asyncio.Transport) -> list[bytes]:
    """The names in the caller's verified certificate, in gRPC's order. Empty without one."""
    certificate = transport.get_extra_info("peercert") or {}
    names = [name for _, name in certificate.get("subjectAltName", ())]
    if not names:
        names = [value for part in certificate.get("subject", ()) for kind, value in part if kind == "commonName"]
    return [name.encode() for name in names]
