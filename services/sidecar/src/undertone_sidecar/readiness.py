"""Whether the sidecar can answer, as grpc.health.v1 tells it."""

from typing import Final

from grpc_health.v1 import health, health_pb2
from undertone_protos.v1 import classifier_pb2

CLASSIFIER: Final[str] = classifier_pb2.DESCRIPTOR.services_by_name["Classifier"].full_name

_SERVICES: Final = ("", CLASSIFIER)


class Readiness:
    """The health of the whole server ("") and of the Classifier, which are one and the same."""

    def __init__(self) -> None:
        self.servicer = health.aio.HealthServicer()

    async def set(self, *, ready: bool) -> None:
        """Has no effect after `end`."""
        status = health_pb2.HealthCheckResponse.SERVING if ready else health_pb2.HealthCheckResponse.NOT_SERVING
        for service in _SERVICES:
            await self.servicer.set(service, status)

    async def end(self) -> None:
        """NOT_SERVING for good."""
        await self.servicer.enter_graceful_shutdown()
