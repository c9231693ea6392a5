"""The application of the HTTP port: all its routes, from the settings.

Imported only if the port is on, so that a sidecar without it needs no memory for it.
"""

import grpc.aio
from starlette.types import ASGIApp

from undertone_sidecar.health import Health
from undertone_sidecar.http import (
    AllowedHosts,
    Bodies,
    Calls,
    Identity,
    application,
    checked_hosts,
    classifier_routes,
    health_routes,
    openapi_route,
)
from undertone_sidecar.open_inference.rest import open_inference_routes
from undertone_sidecar.playground import playground_routes
from undertone_sidecar.settings import Settings


def http_application(settings: Settings, channel: grpc.aio.Channel, health: Health) -> ASGIApp:
    """The application with the settings. It calls the gRPC server through the channel."""
    limits, identity = settings.request_limits, Identity(trust_headers=settings.trust_caller_metadata)
    calls = Calls(channel, identity)
    bodies = Bodies(identity, limits.message_bytes)
    app = application(
        [
            *classifier_routes(calls, bodies, limits),
            *open_inference_routes(calls, bodies, health, limits),
            *health_routes(health),
            openapi_route(limits, settings.served_name),
            *(playground_routes() if settings.playground else ()),
        ]
    )
    hosts = AllowedHosts.of(settings.host, settings.http_host_names)
    return app if hosts is None else checked_hosts(app, hosts)
