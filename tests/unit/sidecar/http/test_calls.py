"""Headers of HTTP requests that become deadlines and metadata of calls."""

import asyncio
from http.client import HTTPConnection
from pathlib import Path

from undertone_sidecar.testing import Pod, running_pod


async def classify(pod: Pod, **headers: str) -> int:
    """The status of a call with these headers."""

    def send() -> int:
        connection = HTTPConnection("localhost", pod.sidecar.http_port)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(
                "POST", "/v1/paragraphs:classify", b'{"text": "rain"}', {"content-type": "application/json", **named}
            )
            return connection.getresponse().status
        finally:
            connection.close()

    return await asyncio.to_thread(send)


async def test_headers_of_calls(base: Path) -> None:
    async with running_pod(base, http_port=0) as pod:
        for timeout in ("1H", "99999999H", ""):
            assert await classify(pod, grpc_timeout=timeout) == 200
        for timeout in ("0S", "1n"):
            assert await classify(pod, grpc_timeout=timeout) == 504
        for timeout in ("-1S", "1", "123456789m", "1.5S"):
            assert await classify(pod, grpc_timeout=timeout) == 400
        for lane in ("online", "batch"):
            assert await classify(pod, undertone_lane=lane) == 200
        for lane in ("b\xe9", "batch\x01", "b" * 65):  # left out, as by Envoy
            assert await classify(pod, undertone_lane=lane) == 200
        for lane in ("", "bulk"):
            assert await classify(pod, undertone_lane=lane) == 400
        for trace in ("00-11", "\x01", "\xe9", "0" * 129):
            assert await classify(pod, traceparent=trace) == 200
