"""Idle, slow and many connections neither stop scrapes nor delay the end."""

import socket
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from http.client import HTTPConnection
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry, make_wsgi_app
from undertone_telemetry.page_server import PageServer

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

MAX_CONNECTIONS = 4
PAGE_BYTES = 16_000_000


@pytest.fixture
def server() -> Iterator[PageServer]:
    """Its page is larger than the buffers of a connection."""

    def long_page(_environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        start_response("200 OK", [])
        return [bytes(PAGE_BYTES)]

    server = PageServer(long_page, "127.0.0.1", 0, max_connections=MAX_CONNECTIONS)
    yield server
    server.close()


def scrape(server: PageServer) -> int:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", "/metrics")
    response = connection.getresponse()
    assert len(response.read()) == PAGE_BYTES
    connection.close()
    return response.status


def connect(server: PageServer, data: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    connection.sendall(data)
    return connection


@pytest.mark.parametrize(
    "data",
    [b"", b"GET /metr", b"GET /metrics HTTP/1.1\r\nHost: x\r\n", b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01"],
    ids=["idle", "half a line", "half a header", "does not read", "TLS"],
)
def test_connections_without_end_do_not_stop_scrapes(
    server: PageServer, data: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    threads = threading.active_count()
    with ExitStack() as stack:
        for _ in range(5 * MAX_CONNECTIONS):
            stack.enter_context(connect(server, data))
        assert [scrape(server) for _ in range(3)] == [200] * 3
        # A thread ends soon after its connection.
        while threading.active_count() > threads + MAX_CONNECTIONS:
            pass
    assert capfd.readouterr().err == ""


def test_connection_that_sends_nothing_is_closed() -> None:
    server = PageServer(make_wsgi_app(CollectorRegistry()), "127.0.0.1", 0, timeout_seconds=0.05)
    with connect(server, b"") as connection:
        assert connection.recv(1) == b""
    server.close()


def test_close_ends_open_connections() -> None:
    server = PageServer(make_wsgi_app(CollectorRegistry()), "127.0.0.1", 0, timeout_seconds=3600)
    with connect(server, b"GET /") as connection:
        server.close()
        with suppress(ConnectionResetError):
            assert connection.recv(1) == b"", "the end, without a page"
        with pytest.raises(ConnectionRefusedError):
            connect(server, b"")


@pytest.mark.skipif(sys.platform != "linux", reason="other platforms may have no IPv6 address")
def test_ipv6_is_served() -> None:
    server = PageServer(make_wsgi_app(CollectorRegistry()), "::1", 0)
    socket.create_connection(("::1", server.port), timeout=60).close()
    server.close()


def test_port_in_use_is_an_error(server: PageServer) -> None:
    with pytest.raises(OSError, match="in use"):
        PageServer(make_wsgi_app(CollectorRegistry()), "127.0.0.1", server.port)
