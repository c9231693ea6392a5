"""Envoy's memory stays below the limit of its container while callers attack it."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Iterator
from typing import Final

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from undertone_bench.chart import Chart
from undertone_bench.processes import peak_resident_bytes
from undertone_protos.v1 import classifier_pb2, classifier_pb2_grpc

from tests.integration.envoy.conftest import Fleet
from tests.integration.support.callers import ask, neighbours
from tests.integration.support.envoy import Envoy, EnvoyLauncher
from tests.integration.support.http2 import Http2Connection, Reply, grpc_frame, grpc_headers
from tests.integration.support.processes import TIMEOUT_SECONDS

LIMIT_BYTES: Final = 512 * 1024 * 1024
"""The default memory limit of the container."""

LARGE_BYTES: Final = 4_190_000
"""A request that is just small enough."""

UNFINISHED: Final = struct.pack(">BI", 0, LARGE_BYTES + 1000)
LARGE_REPLY: Final = grpc_frame(
    classifier_pb2.ClassifyBatchRequest(
        paragraphs=[classifier_pb2.Paragraph(text=" ", id="\N{CJK UNIFIED IDEOGRAPH-6F22}" * 256)] * 256
    ).SerializeToString()
)
"""A request with a reply of 220 KB that needs no model: each paragraph is refused, with its id."""

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"


@pytest.fixture(scope="module")
def attacked(chart: Chart, fleet: Fleet) -> Iterator[Envoy]:
    with EnvoyLauncher(chart) as launch:
        envoy = launch.envoy(fleet.sidecars, workers=2)
        envoy.until_used(fleet.sidecars)
        yield envoy


def send_unfinished(envoy: Envoy, count: int) -> int:
    """Sends requests without their end on one connection. Returns how many Envoy ended."""
    with Http2Connection(envoy.api) as connection:
        for _ in range(count):
            stream = connection.open(grpc_headers())
            connection.send(stream, UNFINISHED + bytes(LARGE_BYTES - 5))
        return sum(reply.ended for reply in connection.replies.values())


def send_unfinished_over_http_1(envoy: Envoy, count: int) -> None:
    """Sends requests without their end, each on a connection of its own."""
    head = b"POST /v1/paragraphs:classify HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            with contextlib.suppress(OSError):  # Envoy closes connections under pressure
                connection = stack.enter_context(socket.create_connection(("127.0.0.1", envoy.api), timeout=1))
                connection.sendall(head % LARGE_BYTES + b'{"text": "' + bytes(LARGE_BYTES - 100))


def reset_streams(envoy: Envoy, count: int) -> bool:
    """Opens streams and resets them at once (CVE-2023-44487).

    Returns whether Envoy closed the connection.
    """
    with Http2Connection(envoy.api) as connection:
        for number in range(count):
            stream = connection.h2.get_next_available_stream_id()
            connection.h2.send_headers(stream, grpc_headers())
            connection.h2.reset_stream(stream, 8)
            if number % 50 == 0:
                connection.flush()
            if connection.closed:
                break
        connection.flush()
        while not connection.closed and connection.receive():
            pass
        return connection.closed


def open_without_data(envoy: Envoy, connections: int, streams: int) -> None:
    """Opens streams with headers only, and waits until all have ended."""
    with contextlib.ExitStack() as stack:
        attackers = [stack.enter_context(Http2Connection(envoy.api)) for _ in range(connections)]
        for attacker in attackers:
            for _ in range(streams):
                stream = attacker.h2.get_next_available_stream_id()
                attacker.replies[stream] = Reply()
                attacker.h2.send_headers(stream, grpc_headers())
            attacker.flush()
        for attacker in attackers:
            attacker.until_ended(attacker.replies)


def leave_replies_unread(envoy: Envoy, connections: int, streams: int) -> int:
    """Requests large replies, and reads none of them. Returns how many streams Envoy reset."""
    headers = grpc_headers("/undertone.v1.Classifier/ClassifyBatch")
    with contextlib.ExitStack() as stack:
        attackers = [stack.enter_context(Http2Connection(envoy.api, window=0)) for _ in range(connections)]
        for _ in range(streams):
            for attacker in attackers:
                stream = attacker.open(headers)
                attacker.send(stream, LARGE_REPLY, end=True)
                reply = attacker.replies[stream]
                while not (reply.status or reply.ended or attacker.closed) and attacker.receive():
                    pass
        return sum(reply.reset is not None for attacker in attackers for reply in attacker.replies.values())


def flood(envoy: Envoy, frame: bytes) -> None:
    """Sends frames that ask for an answer until Envoy closes the connection. Reads nothing.

    Raises TimeoutError if Envoy neither closes the connection nor reads, and AssertionError if
    Envoy reads a million frames.
    """
    connection = socket.create_connection(("127.0.0.1", envoy.api), timeout=TIMEOUT_SECONDS)
    with connection, contextlib.suppress(ConnectionError):
        connection.sendall(PREFACE)
        for _ in range(1000):
            connection.sendall(frame * 1000)
        raise AssertionError("Envoy did not close the connection")


async def test_unfinished_requests_end_before_the_memory_does(attacked: Envoy) -> None:
    """They used 684 MB. Envoy shortens their timeouts, and resets the largest streams."""
    async with neighbours(attacked.target):
        assert await asyncio.to_thread(send_unfinished, attacked, 120) > 0
    assert peak_resident_bytes(attacked.pid) < LIMIT_BYTES


async def test_unfinished_json_requests_do_not_affect_grpc(attacked: Envoy) -> None:
    async with neighbours(attacked.target):
        await asyncio.to_thread(send_unfinished_over_http_1, attacked, 100)
    assert peak_resident_bytes(attacked.pid) < LIMIT_BYTES


async def test_requests_without_data_end_before_the_memory_does(attacked: Envoy) -> None:
    """They used 459 MB, and connections of other callers were closed."""
    async with neighbours(attacked.target):
        await asyncio.to_thread(open_without_data, attacked, 90, 128)
    assert attacked.statistic("http.api.downstream_rq_idle_timeout") > 0
    assert attacked.statistic("overload.envoy.load_shed_points.tcp_listener_accept.shed_load_count") == 0
    assert peak_resident_bytes(attacked.pid) < LIMIT_BYTES


async def test_replies_that_are_not_read_end_before_the_memory_does(attacked: Envoy) -> None:
    async with neighbours(attacked.target):
        assert await asyncio.to_thread(leave_replies_unread, attacked, 8, 128) > 0
    assert peak_resident_bytes(attacked.pid) < LIMIT_BYTES


async def test_watches_do_not_use_the_capacity_of_calls(launch_envoy: EnvoyLauncher, fleet: Fleet) -> None:
    """Each watch counted as an active call, and 4,096 of them made all calls fail."""
    envoy = await asyncio.to_thread(launch_envoy.envoy, fleet.sidecars, circuitBreaker={"calls": 4})
    await asyncio.to_thread(envoy.until_used, fleet.sidecars)
    async with grpc.aio.insecure_channel(envoy.target) as channel:
        watches = [health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest()) for _ in range(8)]
        for watch in watches:
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        assert (await ask(classifier_pb2_grpc.ClassifierStub(channel), "the rain")).label
        for watch in watches:
            watch.cancel()


async def test_connections_that_reset_or_flood_are_closed(attacked: Envoy) -> None:
    ping, settings = b"\0\0\x08\6\0\0\0\0\0" + bytes(8), b"\0\0\0\4\0\0\0\0\0"
    continuation = b"\0\0\1\1\0\0\0\0\1\x82" + b"\0\0\0\x09\0\0\0\0\1" * 100
    async with neighbours(attacked.target):
        assert await asyncio.to_thread(reset_streams, attacked, 2000)
        for frame in (ping, settings, continuation):
            await asyncio.to_thread(flood, attacked, frame)
    assert peak_resident_bytes(attacked.pid) < LIMIT_BYTES
