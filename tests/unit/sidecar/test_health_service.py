"""Watches, among them one whose caller does not read."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import grpc.aio
from grpc_health.v1 import health_pb2
from undertone_sidecar.health_service import HealthService

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


class Context:
    """Receives the statuses of a watch. Writes wait for `read`."""

    def __init__(self, read: Callable[[], Awaitable[object]]) -> None:
        self._read = read
        self.statuses: list[int] = []

    async def write(self, response: health_pb2.HealthCheckResponse) -> None:
        await self._read()
        self.statuses.append(response.status)


def watch(service: HealthService, name: str, context: Context) -> "asyncio.Task[None]":
    watching = service.Watch(health_pb2.HealthCheckRequest(service=name), cast("grpc.aio.ServicerContext[Any, Any]", context))
    return asyncio.create_task(watching)


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_watches_receive_each_status_once() -> None:
    service, context = HealthService(), Context(turns)
    task = watch(service, "model", context)
    await turns(20)
    for status in (SERVING, SERVING, NOT_SERVING):
        service.set("model", status)
        service.set("other", status)
        await turns(20)
    service.shut_down()
    service.set("model", SERVING)
    await turns(20)
    assert context.statuses == [UNKNOWN, SERVING, NOT_SERVING]
    task.cancel()


async def test_a_watch_that_is_not_read_does_not_delay_changes() -> None:
    service, stopped, other = HealthService(), Context(asyncio.Event().wait), Context(turns)
    service.set("", SERVING)
    tasks = [watch(service, "", stopped), watch(service, "", other)]
    await turns(20)
    service.shut_down()
    await turns(20)
    assert stopped.statuses == []
    assert other.statuses == [SERVING, NOT_SERVING]
    for task in tasks:
        task.cancel()


async def test_a_change_during_a_slow_write_is_not_missed() -> None:
    service, released = HealthService(), asyncio.Event()
    context = Context(released.wait)
    service.set("", SERVING)
    task = watch(service, "", context)
    await turns(20)
    service.set("", NOT_SERVING)
    released.set()
    await turns(20)
    assert context.statuses == [SERVING, NOT_SERVING]
    task.cancel()
