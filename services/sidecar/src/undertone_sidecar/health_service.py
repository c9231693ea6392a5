"""The service grpc.health.v1.Health."""

import asyncio
from typing import Any, Final, TypeAlias

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

Status: TypeAlias = health_pb2.HealthCheckResponse.ServingStatus.ValueType

_Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_UNKNOWN: Final = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


class HealthService(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """Statuses of services, for checks and watches.

    In grpc_health's own servicer, a watch that is not read blocks all changes of its service, and
    with them a drain. Here, changes do not wait for watches.
    """

    def __init__(self) -> None:
        self._statuses: dict[str, Status] = {}
        self._changed = asyncio.Event()
        self._is_shut_down = False

    def set(self, service: str, status: Status) -> None:
        """Sets the status of a service. Has no effect after `shut_down`."""
        if not self._is_shut_down:
            self._statuses[service] = status
            self._notify()

    def status(self, service: str) -> Status | None:
        """The status of a service. None if it is unknown."""
        return self._statuses.get(service)

    def shut_down(self) -> None:
        """Sets all services to NOT_SERVING, from now on."""
        self._is_shut_down = True
        self._statuses = dict.fromkeys(self._statuses, health_pb2.HealthCheckResponse.NOT_SERVING)
        self._notify()

    async def Check(self, request: health_pb2.HealthCheckRequest, context: _Context) -> health_pb2.HealthCheckResponse:  # noqa: N802
        status = self._statuses.get(request.service)
        if status is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return health_pb2.HealthCheckResponse(status=status)

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: _Context) -> None:  # noqa: N802
        sent: Status | None = None
        while True:
            # Before the status is read: no change can be missed.
            changed = self._changed
            status = self._statuses.get(request.service, _UNKNOWN)
            if status != sent:
                await context.write(health_pb2.HealthCheckResponse(status=status))
                sent = status
            await changed.wait()

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
