"""Health of the sidecar over grpc.health.v1."""

from typing import Final

from grpc_health.v1 import health_pb2
from undertone_protos.inference import open_inference_pb2
from undertone_protos.v1 import classifier_pb2

from undertone_sidecar.health_service import HealthService

CLASSIFIER: Final[str] = classifier_pb2.DESCRIPTOR.services_by_name["Classifier"].full_name

OPEN_INFERENCE: Final[str] = open_inference_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name

LIVENESS: Final = "liveness"
"""Health service for liveness probes: SERVING while the process responds, even without a model."""

_READINESS_SERVICES: Final = ("", CLASSIFIER, OPEN_INFERENCE)


class Health:
    """Liveness, and readiness under the names "", undertone.v1.Classifier and
    inference.GRPCInferenceService.

    Attributes:
        servicer: The health service.
        was_ready: Whether the sidecar has ever been ready.
    """

    def __init__(self) -> None:
        self.servicer = HealthService()
        self.was_ready = False

    def start(self) -> None:
        """Reports SERVING for liveness and NOT_SERVING for readiness."""
        self.servicer.set(LIVENESS, health_pb2.HealthCheckResponse.SERVING)
        self.set_ready(ready=False)

    def set_ready(self, *, ready: bool) -> None:
        """Reports whether the sidecar is ready. Has no effect after `shut_down`."""
        self.was_ready = self.was_ready or ready
        status = health_pb2.HealthCheckResponse.SERVING if ready else health_pb2.HealthCheckResponse.NOT_SERVING
        for service in _READINESS_SERVICES:
            self.servicer.set(service, status)

    def is_serving(self, service: str) -> bool:
        """Whether a service is SERVING."""
        return bool(self.servicer.status(service) == health_pb2.HealthCheckResponse.SERVING)

    def shut_down(self) -> None:
        """Reports NOT_SERVING for all services, from now on."""
        self.servicer.shut_down()
