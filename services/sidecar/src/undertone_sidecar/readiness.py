"""Whether the sidecar can answer, as grpc.health.v1 tells it."""

from typing import Final

from grpc_health.v1 import health, health_pb2
from undertone_protos.v1 import classifier_pb2

CLASSIFIER: Final[str] = classifier_pb2.DESCRIPTOR.services_by_name["Classifier"].full_name

LIVENESS: Final = "liveness"
"""A service of its own for whoever restarts processes: SERVING as long as this one answers, with a model or without."""

_SERVICES: Final = ("", CLASSIFIER)


class Readiness:
    """The health of the whole server ("") and of the Classifier, which are one and the same; and LIVENESS beside them."""

    def __init__(self) -> None:
        self.servicer = health.aio.HealthServicer()

    async def begin(self) -> None:
        """Alive, and not ready."""
        await self.servicer.set(LIVENESS, health_pb2.HealthCheckResponse.SERVING)
        await self.set(ready=False)

    async def set(self, *, ready: bool) -> None:
        """Has no effect after `end`."""
        status = health_pb2.HealthCheckResponse.SERVING if ready else health_pb2.HealthCheckResponse.NOT_SERVING
        for service in _SERVICES:
            await self.servicer.set(service, status)

    async def end(self) -> None:
        """NOT_SERVING for good, and no longer to be kept alive."""
        await self.servicer.enter_graceful_shutdown()
