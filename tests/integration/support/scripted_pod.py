"""A fake pod with scripted behaviour, and an Envoy in front of such pods."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self, TypeAlias

import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from undertone_protos.v1 import classifier_pb2, classifier_pb2_grpc

from tests.integration.support.callers import Stub
from tests.integration.support.envoy import Envoy, EnvoyLauncher

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Behaviour: TypeAlias = Callable[[classifier_pb2.ClassifyRequest, Context], Awaitable[classifier_pb2.ClassifyResponse]]


class ScriptedPod(classifier_pb2_grpc.ClassifierServicer):
    """Answers calls with `behaviour`, and is healthy until `set_health` changes it.

    Records the ids of the requests in `ids`. Listens on `host`, and on a free port by default.
    """

    def __init__(self, behaviour: Behaviour, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.ids: list[str] = []
        self.host = host
        self.port = port
        self._behaviour = behaviour
        self._health = health.aio.HealthServicer()
        self._server: grpc.aio.Server | None = None

    async def set_health(self, *, serving: bool) -> None:
        """Sets the health status of the Classifier."""
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        await self._health.set("undertone.v1.Classifier", status)

    async def Classify(self, request: classifier_pb2.ClassifyRequest, context: Context) -> classifier_pb2.ClassifyResponse:  # noqa: N802
        self.ids.append(request.id)
        return await self._behaviour(request, context)

    async def ClassifyBatch(  # noqa: N802
        self, request: classifier_pb2.ClassifyBatchRequest, context: Context
    ) -> classifier_pb2.ClassifyBatchResponse:
        raise NotImplementedError

    async def GetModel(self, request: classifier_pb2.GetModelRequest, context: Context) -> classifier_pb2.GetModelResponse:  # noqa: N802
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        await self.set_health(serving=True)
        self._server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        classifier_pb2_grpc.add_ClassifierServicer_to_server(self, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self.port = self._server.add_insecure_port(f"{self.host}:{self.port}")
        await self._server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server
        await self._server.stop(None)


def failing(code: grpc.StatusCode) -> Behaviour:
    """Fails every call with the code."""

    async def fail(request: classifier_pb2.ClassifyRequest, context: Context) -> classifier_pb2.ClassifyResponse:
        await context.abort(code, "as the test asked")
        raise AssertionError("abort returned")

    return fail


async def succeed(request: classifier_pb2.ClassifyRequest, context: Context) -> classifier_pb2.ClassifyResponse:
    return classifier_pb2.ClassifyResponse(id=request.id)


@asynccontextmanager
async def envoy_for(launch: EnvoyLauncher, pods: Iterable[ScriptedPod], **values: Any) -> AsyncIterator[tuple[Envoy, Stub]]:
    """An Envoy that uses these pods, and a stub for it."""
    ports = [pod.port for pod in pods]
    # The pods answer health checks in this thread.
    envoy = await asyncio.to_thread(launch.envoy, ports, **values)
    await asyncio.to_thread(envoy.until_used, ports)
    async with grpc.aio.insecure_channel(envoy.target) as channel:
        yield envoy, classifier_pb2_grpc.ClassifierStub(channel)
