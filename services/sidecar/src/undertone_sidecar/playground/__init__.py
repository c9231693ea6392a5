"""The playground: a page for a browser that scores a text with the sidecar's own HTTP API."""

from undertone_sidecar.playground.routes import CONTENT_SECURITY_POLICY, playground_routes

__all__ = ["CONTENT_SECURITY_POLICY", "playground_routes"]
