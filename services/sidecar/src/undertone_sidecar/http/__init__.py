"""The HTTP port: JSON requests that become calls of the gRPC server in the same process."""

from undertone_sidecar.http.application import application
from undertone_sidecar.http.bodies import BodyReader
from undertone_sidecar.http.calls import CallError, Calls
from undertone_sidecar.http.classifier_routes import classifier_routes
from undertone_sidecar.http.health_routes import health_routes
from undertone_sidecar.http.openapi_route import openapi_route
from undertone_sidecar.http.port import HttpPort
from undertone_sidecar.http.statuses import HTTP_STATUSES, status_response

__all__ = [
    "HTTP_STATUSES",
    "BodyReader",
    "CallError",
    "Calls",
    "HttpPort",
    "application",
    "classifier_routes",
    "health_routes",
    "openapi_route",
    "status_response",
]
