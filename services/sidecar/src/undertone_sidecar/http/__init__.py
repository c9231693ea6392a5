"""The HTTP port: JSON requests that become calls of the gRPC server in the same process."""

from undertone_sidecar.http.application import application
from undertone_sidecar.http.bodies import Bodies
from undertone_sidecar.http.call_error import CallError
from undertone_sidecar.http.calls import Calls
from undertone_sidecar.http.classifier_routes import classifier_routes
from undertone_sidecar.http.connection import ConnectionState
from undertone_sidecar.http.health_routes import health_routes
from undertone_sidecar.http.hosts import AllowedHosts, checked_hosts
from undertone_sidecar.http.identity import Identity
from undertone_sidecar.http.json_text import JsonError, JsonLimits, parse_json
from undertone_sidecar.http.openapi_route import openapi_route
from undertone_sidecar.http.port import HttpPort
from undertone_sidecar.http.statuses import HTTP_STATUSES, retry_headers, status_response

__all__ = [
    "HTTP_STATUSES",
    "AllowedHosts",
    "Bodies",
    "CallError",
    "Calls",
    "ConnectionState",
    "HttpPort",
    "Identity",
    "JsonError",
    "JsonLimits",
    "application",
    "checked_hosts",
    "classifier_routes",
    "health_routes",
    "openapi_route",
    "parse_json",
    "retry_headers",
    "status_response",
]
