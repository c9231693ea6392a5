"""Only a call with exactly one complete message reaches a pod."""

import asyncio
import zlib

import pytest

from tests.integration.envoy.conftest import Fleet
from tests.integration.support.envoy import Envoy, EnvoyLauncher
from tests.integration.support.envoy_requests import FRAME, INVALID_ARGUMENT, JSON_CLASSIFY, MESSAGE, answered_by, exchange
from tests.integration.support.hostile_requests import CLASSIFY
from tests.integration.support.http2 import Http2Connection, grpc_frame, grpc_headers


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((), "the call has no message"),
        ((b"",), "the call has no message"),
        ((FRAME[:4],), "the call has no message"),
        ((FRAME[:5],), "but 0 follow"),
        ((FRAME[:5], FRAME[5:8]), "announces 10 bytes, but 3 follow"),
        ((grpc_frame(MESSAGE, length=4_000_000_000),), "announces 4000000000 bytes"),
        ((FRAME, FRAME), "exactly one message"),
        ((grpc_frame(MESSAGE, compressed=1),), "grpc-encoding is missing"),
        ((grpc_frame(MESSAGE, compressed=7),), "the compression flag of the message is 7"),
    ],
)
def test_a_call_without_exactly_one_message_is_refused(
    envoy: Envoy, fleet: Fleet, data: tuple[bytes, ...], message: str
) -> None:
    with answered_by(envoy, fleet.sidecars, pods=0):
        replies = [exchange(envoy, grpc_headers(path), *data) for path in (CLASSIFY, "/grpc.health.v1.Health/Watch")]
    for reply in replies:
        assert (reply.grpc_status, message in reply.grpc_message) == (INVALID_ARGUMENT, True), reply


async def test_a_call_whose_message_never_ends_reaches_no_pod(launch_envoy: EnvoyLauncher, fleet: Fleet) -> None:
    envoy = launch_envoy.envoy(fleet.sidecars, timeouts={"receiveSeconds": 0.3})
    requests = [
        (CLASSIFY, "application/grpc", FRAME[:8]),
        (CLASSIFY, "application/grpc", b""),
        (JSON_CLASSIFY, "application/json", b"{"),
    ]
    with answered_by(envoy, fleet.sidecars, pods=0), Http2Connection(envoy.api) as connection:
        for path, content_type, data in requests:
            stream = connection.open(grpc_headers(path, content_type=content_type))
            connection.send(stream, data)
            await asyncio.to_thread(connection.until_ended, [stream])
            reply = connection.replies[stream]
            assert reply.grpc_status == 4 or reply.status == 408, reply
    assert envoy.statistic("cluster.sidecars.upstream_rq_retry") == 0


def test_compressed_messages_are_answered_by_a_pod(envoy: Envoy, fleet: Fleet) -> None:
    with answered_by(envoy, fleet.sidecars, pods=2):
        for encoding, bits in (("gzip", 31), ("deflate", 15)):
            compress = zlib.compressobj(wbits=bits)
            message = compress.compress(MESSAGE) + compress.flush()
            assert exchange(envoy, grpc_headers(grpc_encoding=encoding), grpc_frame(message, compressed=1)).grpc_status == 0
