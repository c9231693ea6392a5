"""A raw HTTP/2 client, which sends what no gRPC client sends."""

import socket
import struct
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self, TypeAlias

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

from tests.integration.support.processes import TIMEOUT_SECONDS

Headers: TypeAlias = Sequence[tuple[str, str]]

GRPC_MESSAGE: Final = "grpc-message"

_WINDOW_BYTES: Final = 1 << 24


@dataclass(slots=True)
class Reply:
    """What a server answered on one stream. `reset` is the code of a RST_STREAM frame, if any."""

    headers: dict[str, str] = field(default_factory=dict)
    trailers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    reset: int | None = None
    ended: bool = False

    @property
    def status(self) -> int:
        """The HTTP status. 0 without a response."""
        return int(self.headers.get(":status", 0))

    @property
    def grpc_status(self) -> int | None:
        """The gRPC status, from the trailers or from a response without a body."""
        found = self.trailers.get("grpc-status", self.headers.get("grpc-status"))
        return None if found is None else int(found)

    @property
    def grpc_message(self) -> str:
        return self.trailers.get(GRPC_MESSAGE, self.headers.get(GRPC_MESSAGE, ""))


class Http2Connection:
    """One connection in plaintext. Sends headers as they are given, without any validation.

    `window` is the number of bytes that the server may send on each stream. With 0, replies have
    headers only.
    """

    def __init__(self, port: int, *, window: int | None = None) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        config = h2.config.H2Configuration(
            client_side=True,
            header_encoding="utf-8",
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
            validate_inbound_headers=False,
        )
        self.h2 = h2.connection.H2Connection(config)
        self.replies: dict[int, Reply] = {}
        self.closed = False
        if window is not None:
            self.h2.local_settings = h2.settings.Settings(initial_values={h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.h2.initiate_connection()
        self.h2.increment_flow_control_window(_WINDOW_BYTES)
        self.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._socket.close()

    def open(self, headers: Headers, *, end: bool = False) -> int:
        """Starts a stream, and returns its id."""
        stream = self.h2.get_next_available_stream_id()
        self.replies[stream] = Reply()
        self.h2.send_headers(stream, headers, end_stream=end)
        self.flush()
        return stream

    def send(self, stream: int, data: bytes, *, end: bool = False) -> None:
        """Sends data as far as the windows allow, and stops when the stream or connection ends."""
        view = memoryview(data)
        while len(view) and not self.replies[stream].ended and not self.closed:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size, len(view))
            if room <= 0:
                self.receive()
                continue
            self.h2.send_data(stream, view[:room].tobytes())
            view = view[room:]
            self.flush()
        if end and not self.replies[stream].ended and not self.closed:
            self.h2.end_stream(stream)
            self.flush()

    def flush(self) -> None:
        try:
            self._socket.sendall(self.h2.data_to_send())
        except OSError:
            self._close()

    def receive(self, seconds: float = TIMEOUT_SECONDS) -> bool:
        """Handles what the server sends next. False after `seconds` without anything."""
        self._socket.settimeout(seconds)
        try:
            data = self._socket.recv(65536)
        except TimeoutError:
            return False
        except OSError:
            data = b""
        finally:
            self._socket.settimeout(TIMEOUT_SECONDS)
        if not data:
            self._close()
            return True
        try:
            events = self.h2.receive_data(data)
        except h2.exceptions.ProtocolError:
            self._close()
            return True
        for event in events:
            self._handle(event)
        self.flush()
        return True

    def until_ended(self, streams: Iterable[int]) -> list[Reply]:
        """Waits until the streams or the connection have ended, and returns the replies."""
        wanted = list(streams)
        end = time.monotonic() + TIMEOUT_SECONDS
        while not self.closed and not all(self.replies[stream].ended for stream in wanted):
            if time.monotonic() > end or not self.receive():
                raise TimeoutError(f"not ended after {TIMEOUT_SECONDS:g} s: streams {wanted}")
        return [self.replies[stream] for stream in wanted]

    def exchange(self, headers: Headers, *data: bytes) -> Reply:
        """Sends a complete request on a new stream, and returns the reply."""
        stream = self.open(headers, end=not data)
        for index, part in enumerate(data):
            self.send(stream, part, end=index == len(data) - 1)
        return self.until_ended([stream])[0]

    def _close(self) -> None:
        self.closed = True

    def _handle(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.ConnectionTerminated):
            return
        stream = getattr(event, "stream_id", None)
        if not isinstance(stream, int) or (reply := self.replies.get(stream)) is None:
            return
        if isinstance(event, h2.events.ResponseReceived):
            reply.headers.update(_text(event.headers))
        elif isinstance(event, h2.events.TrailersReceived):
            reply.trailers.update(_text(event.headers))
        elif isinstance(event, h2.events.DataReceived):
            reply.body += event.data
            if event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, stream)
        elif isinstance(event, h2.events.StreamReset):
            reply.reset, reply.ended = int(event.error_code), True
        elif isinstance(event, h2.events.StreamEnded):
            reply.ended = True


def _text(headers: Iterable[tuple[str | bytes, str | bytes]]) -> Mapping[str, str]:
    return {_decoded(key): _decoded(value) for key, value in headers}


def _decoded(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode(errors="replace")


def grpc_headers(path: str = "/undertone.v1.Classifier/Classify", **changes: str | None) -> list[tuple[str, str]]:
    """Headers of a gRPC call. `changes` replaces, adds or, with None, removes headers.

    Names in `changes` have underscores for hyphens, and `_method`, `_path` … for the
    pseudo-headers.
    """
    headers: dict[str, str | None] = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "undertone.example",
        "content-type": "application/grpc",
        "te": "trailers",
    }
    for name, value in changes.items():
        headers[":" + name[1:] if name.startswith("_") else name.replace("_", "-")] = value
    return [(name, value) for name, value in headers.items() if value is not None]


def grpc_frame(message: bytes, *, compressed: int = 0, length: int | None = None) -> bytes:
    """The message with gRPC's prefix of flag and length."""
    return struct.pack(">BI", compressed, len(message) if length is None else length) + message
