"""A Service with a virtual address in front of the Envoy pods, as kube-proxy provides it."""

import asyncio
import contextlib
import random
from typing import Final, Self

from undertone_bench.cluster.controllers import Deployment
from undertone_bench.cluster.pods import EnvoyPod
from undertone_bench.envoy import LOOPBACK

_CHUNK_BYTES: Final = 65536
_TICK_SECONDS: Final = 0.2


class VirtualService:
    """Forwards each new connection to a random pod that is ready and not terminating.

    Attributes:
        port: The port on 127.0.0.1.
    """

    def __init__(self, deployment: Deployment[EnvoyPod], *, delay_seconds: float = 1.0) -> None:
        """`delay_seconds` is the time until the node knows a change of the pods."""
        self.port = 0
        self._deployment = deployment
        self._delay_ticks = round(delay_seconds / _TICK_SECONDS)
        self._known: list[list[int]] = []
        self._server: asyncio.Server | None = None
        self._watching: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, LOOPBACK, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server and self._watching:
            self._server.close()
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            self._known.append([pod.ports.api for pod in self._deployment.ready_pods()])
            del self._known[: -self._delay_ticks - 1]
            await asyncio.sleep(_TICK_SECONDS)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            pod_reader, pod_writer = await asyncio.open_connection(LOOPBACK, random.choice(self._known[0]))
        except (OSError, IndexError):
            writer.close()
            return
        await asyncio.gather(_forward(reader, pod_writer), _forward(pod_reader, writer))


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    writer.close()
