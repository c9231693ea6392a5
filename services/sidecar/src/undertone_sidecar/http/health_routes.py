"""The routes for probes."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from undertone_sidecar.health import CLASSIFIER, LIVENESS, Health


def health_routes(health: Health) -> list[Route]:
    """/healthz for liveness and /readyz for readiness. They answer 200, or 503."""
    return [Route("/healthz", _endpoint(health, LIVENESS)), Route("/readyz", _endpoint(health, CLASSIFIER))]


def _endpoint(health: Health, service: str) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_: Request) -> Response:
        serving = health.is_serving(service)
        return PlainTextResponse("ok\n" if serving else "not ready\n", 200 if serving else 503)

    return answer
