"""Bodies of requests."""

import sys

from starlette.requests import Request
from starlette.types import Message
from undertone_sidecar.http import Bodies, Identity


async def test_a_block_can_free_its_body() -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": b"rain" * 1000}

    request = Request({"type": "http", "headers": [], "client": ("192.0.2.1", 1)}, receive)
    async with Bodies(Identity(trust_headers=False), 10_000).read(request) as body:
        assert body == b"rain" * 1000
        assert sys.getrefcount(body) == 2  # the name, and the argument of this call
