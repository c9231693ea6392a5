"""Calls over HTTP to servers that do not answer."""

import contextlib
import socket
from http.client import HTTPConnection

import pytest
from undertone_bench.commands.http import call_http
from undertone_bench.errors import BenchError
from undertone_bench.processes import free_ports


def test_a_server_that_does_not_answer_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with (
            contextlib.closing(HTTPConnection("127.0.0.1", port, timeout=0.05)) as connection,
            pytest.raises(BenchError, match="a call over HTTP failed: timed out"),
        ):
            call_http(connection, ["she laughed"], 1)


def test_a_server_that_does_not_listen_is_an_error() -> None:
    (port,) = free_ports(1)
    with (
        contextlib.closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection,
        pytest.raises(BenchError, match=r"a call over HTTP failed: .*refused"),
    ):
        call_http(connection, ["she laughed"], 1)
