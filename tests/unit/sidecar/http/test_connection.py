"""Connections of callers that are slow, never end, or do not speak HTTP."""

import asyncio
import json
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from itertools import pairwise

import pytest
import trustme
from starlette.types import Receive, Scope, Send
from undertone_sidecar.http.connection import ConnectionState, ConnectionTimeouts
from undertone_sidecar.http.port import HttpPort
from undertone_sidecar.http.tls_handshake import TLS_CONNECTION_UNITS
from undertone_sidecar.shared_limit import SharedLimit

LONG = 600.0
GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"


class App:
    """Answers at once with `size` bytes, or when `release` is set. Does not read the body."""

    def __init__(self, size: int = 2) -> None:
        self.size = size
        self.started = asyncio.Event()
        self.release = asyncio.Event()
        self.release.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.started.set()
        await self.release.wait()
        headers = [(b"content-length", str(self.size).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"x" * self.size})


class Caller:
    """A TCP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def rest(self) -> bytes:
        """All bytes until the end of the connection."""
        received = b""
        try:
            while part := await self.reader.read(65536):
                received += part
        except ConnectionError:
            pass
        return received

    async def ended(self) -> bool:
        """Whether the connection ends without an answer."""
        try:
            return not await self.reader.read(1)
        except ConnectionError:
            return True

    async def answer(self) -> bytes:
        head = await self.reader.readuntil(b"\r\n\r\n")
        return head + await self.reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))


class Served:
    """A running port."""

    def __init__(self, port: HttpPort, number: int) -> None:
        self.port, self._number = port, number

    @asynccontextmanager
    async def caller(self, sent: bytes = b"", context: ssl.SSLContext | None = None) -> AsyncIterator[Caller]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._number, ssl=context)
        writer.write(sent)
        try:
            yield Caller(reader, writer)
        finally:
            writer.transport.abort()


@asynccontextmanager
async def served(
    app: App,
    *,
    limit: int = 100,
    max_discarded_bytes: int = 10**6,
    context: ssl.SSLContext | None = None,
    **seconds: float,
) -> AsyncIterator[Served]:
    """A port whose timeouts are LONG, except for `seconds`."""
    timeouts = ConnectionTimeouts(**{"handshake": LONG, "head": LONG, "discard": LONG, "write": LONG, "idle": LONG, **seconds})
    port = HttpPort(ConnectionState(timeouts=timeouts, limit=SharedLimit(limit), max_discarded_bytes=max_discarded_bytes))
    async with asyncio.timeout(60):
        number = await port.start(app, "127.0.0.1", 0, (lambda: context) if context else None)
        try:
            yield Served(port, number)
        finally:
            await port.close()


async def test_each_answer_is_reported_with_its_status() -> None:
    statuses: list[int] = []
    port = HttpPort(ConnectionState(answered=statuses.append))
    number = await port.start(App(), "127.0.0.1", 0)
    try:
        async with Served(port, number).caller(GET) as caller:
            await caller.answer()
            caller.writer.write(b"no HTTP\r\n\r\n")
            assert b"400" in await caller.rest()
    finally:
        await port.close()
    assert statuses == [200, 400]


@pytest.mark.parametrize("sent", [b"", b"GET / HT", GET[:-2]])
async def test_a_head_that_does_not_arrive_ends_the_connection(sent: bytes) -> None:
    async with served(App(), head=0.05) as port, port.caller(sent) as caller:
        assert await caller.rest() == b""


async def test_slow_bytes_do_not_extend_the_time_of_the_head() -> None:
    async with served(App(), head=0.2) as port, port.caller() as caller:
        ending = asyncio.create_task(caller.rest())
        while not ending.done():
            caller.writer.write(b"G")
            await asyncio.wait([ending], timeout=0.02)
        assert await ending == b""


async def test_an_idle_connection_ends_after_its_answer() -> None:
    async with served(App(), idle=0.05) as port, port.caller(GET) as caller:
        assert await caller.answer()
        assert await caller.rest() == b""


async def test_a_second_head_that_does_not_arrive_ends_the_connection() -> None:
    async with served(App(), head=0.05) as port, port.caller(GET) as caller:
        assert await caller.answer()
        caller.writer.write(b"G")
        assert await caller.rest() == b""


async def test_the_rest_of_a_body_is_awaited_only_for_a_time() -> None:
    async with served(App(), discard=0.05) as port, port.caller(POST + b"1\r\na\r\n") as caller:
        assert (await caller.answer()).startswith(b"HTTP/1.1 200 OK")
        assert await caller.rest() == b""


async def test_a_body_without_end_is_discarded_only_up_to_a_size() -> None:
    async with served(App(), max_discarded_bytes=100_000) as port, port.caller(POST) as caller:
        assert (await caller.answer()).startswith(b"HTTP/1.1 200 OK")
        ending = asyncio.create_task(caller.rest())
        while not ending.done():
            caller.writer.write(b"1000\r\n" + b"a" * 4096 + b"\r\n")
            await asyncio.sleep(0)
        assert await ending == b""


async def test_a_caller_that_does_not_read_its_answer_loses_the_connection() -> None:
    async with served(App(size=50_000_000), write=0.05) as port, port.caller(GET) as caller:
        await caller.reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.1)
        assert len(await caller.rest()) < 50_000_000


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b"400 Bad Request", 3),
        (b"GET / HTTP/1.1\r\n\r\n", b"400 Bad Request", 3),
        (b"GET / HTTP/1.1\r\nhost: a\r\nb: " + b"b" * 20_000, b"431 Request Header Fields Too Large", 3),
        (b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n", b"501 Not Implemented", 12),
        (POST[:-2] + b"content-length: 4\r\n\r\n0\r\n\r\n" + GET, b"400 Bad Request", 3),
        (GET + b"nonsense\r\n\r\n", b"400 Bad Request", 3),
    ],
)
async def test_what_is_not_http_is_answered_in_json(sent: bytes, status: bytes, code: int) -> None:
    async with served(App()) as port, port.caller(sent) as caller:
        if sent.startswith(GET):
            assert (await caller.answer()).startswith(b"HTTP/1.1 200 OK")
        head, _, body = (await caller.rest()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 " + status)
        assert b"connection: close" in head.lower()
        assert json.loads(body)["code"] == code


async def test_nonsense_in_a_body_ends_the_connection_without_a_log(caplog: pytest.LogCaptureFixture) -> None:
    async with served(App()) as port, port.caller(POST) as caller:
        assert await caller.answer()
        caller.writer.write(b"nonsense\r\n")
        assert await caller.rest() == b""
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_requests_that_are_sent_together_are_answered_in_order() -> None:
    async with served(App()) as port, port.caller(GET * 20) as caller:
        for _ in range(20):
            assert (await caller.answer()).startswith(b"HTTP/1.1 200 OK")


async def test_a_host_cannot_use_all_connections() -> None:
    async with served(App(), limit=8) as port, AsyncExitStack() as stack:
        for _ in range(7):
            caller = await stack.enter_async_context(port.caller(GET))
            assert (await caller.answer()).startswith(b"HTTP/1.1 200 OK")
        async with port.caller(GET) as refused:
            assert await refused.rest() == b""
        caller.writer.close()
        answered = False
        while not answered:  # the server may not have noticed the end yet
            async with port.caller(GET) as another:
                answered = not await another.ended()


@pytest.fixture(scope="module")
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """TLS of a server and of its callers."""
    authority = trustme.CA()
    server, caller = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(caller)
    return server, caller


async def test_a_host_cannot_use_all_connections_without_a_tls_handshake(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    server, context = contexts
    limit = 8 * TLS_CONNECTION_UNITS
    async with served(App(), limit=limit, context=server) as port, AsyncExitStack() as stack:
        silent = [await stack.enter_async_context(port.caller()) for _ in range(7)]
        with pytest.raises((ConnectionError, ssl.SSLError)):
            async with port.caller(GET, context):
                pass
        silent[0].writer.close()
        answered = False
        while not answered:  # the server may not have noticed the end yet
            with suppress(ConnectionError, ssl.SSLError):
                async with port.caller(GET * 2, context) as caller:
                    answered = (await caller.answer()).startswith(b"HTTP/1.1 200 OK")
                    assert await caller.answer()


async def test_a_tls_handshake_that_does_not_end_ends_the_connection(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    async with served(App(), limit=TLS_CONNECTION_UNITS, context=contexts[0], handshake=0.05) as port:
        for _ in range(2):
            async with port.caller() as caller:
                assert await caller.ended()
        async with port.caller(b"GET / HTTP/1.1\r\n") as caller:
            assert await caller.ended()


async def test_a_drain_ends_idle_connections_and_the_others_after_their_answer() -> None:
    app = App()
    async with served(app) as port, port.caller(GET) as idle, port.caller() as busy:
        assert await idle.answer()
        app.started.clear()
        app.release.clear()
        busy.writer.write(GET)
        await app.started.wait()
        port.port.end_connections()
        assert await idle.rest() == b""
        app.release.set()
        answer = await busy.rest()
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert b"connection: close" in answer.lower()
        async with port.caller(GET) as late:
            assert b"connection: close" in (await late.rest()).lower()


async def test_a_connection_without_a_request_yet_has_one_answer_after_the_end() -> None:
    """Its request may be on the way. The end of the connection would reset it."""
    async with served(App()) as port, port.caller() as new, port.caller(GET) as first:
        await first.answer()  # so that the other connection is accepted, too
        port.port.end_connections()
        new.writer.write(GET)
        answer = await new.rest()
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"connection: close" in answer.lower()


async def test_a_burst_of_connections_gives_way_to_other_work() -> None:
    state = ConnectionState()
    port = HttpPort(state)
    number = await port.start(App(), "127.0.0.1", 0)
    with ExitStack() as stack:
        for _ in range(200):  # without a step of the event loop
            stack.enter_context(socket.create_connection(("127.0.0.1", number)))
        counts = [0]
        while counts[-1] < 200:
            await asyncio.sleep(0)
            counts.append(len(state.connections))
        assert max(after - before for before, after in pairwise(counts)) <= 32
        await port.close()


async def test_answers_do_not_wait_for_acknowledgements() -> None:
    app, state = App(), ConnectionState()
    port = HttpPort(state)
    number = await port.start(app, "127.0.0.1", 0)
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", number)
        writer.write(GET)
        await app.started.wait()
        (connection,) = state.connections
        sending = connection.transport.get_extra_info("socket")
        assert sending.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        writer.close()
    finally:
        await port.close()
