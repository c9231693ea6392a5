"""The HTTP application: routes, and answers to requests that have no route."""

import logging
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import grpc
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from undertone_sidecar.http.call_error import CallError
from undertone_sidecar.http.statuses import status_response

log = logging.getLogger(__name__)


def application(routes: Sequence[BaseRoute]) -> ASGIApp:
    """An application with these routes. Endpoints may raise CallError."""
    # Starlette declares its handlers for any exception.
    handlers: Mapping[Any, Any] = {CallError: _call_failed, HTTPException: _not_routed, Exception: _internal_error}
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.router.redirect_slashes = False

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        # Starlette raises the error of an endpoint again after its answer. uvicorn would log it
        # with its message.
        with suppress(Exception):
            await app(scope, receive, send)

    return answer


async def _call_failed(_: Request, error: CallError) -> Response:
    return status_response(error.code, error.message, http_status=error.http_status, retry_after=error.retry_after)


async def _not_routed(_: Request, error: HTTPException) -> Response:
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        code = grpc.StatusCode.UNIMPLEMENTED
        message = f"the HTTP method is not supported: send {allowed.replace(', ', ' or ')}"
    else:
        code, message = grpc.StatusCode.NOT_FOUND, "no such method: see the API reference, docs/reference/api.md"
    return status_response(code, message, http_status=error.status_code, headers=error.headers)


async def _internal_error(_: Request, error: Exception) -> Response:
    # Without the message, which may contain the text of a paragraph.
    log.error("request failed with %s\n%s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
    return status_response(grpc.StatusCode.INTERNAL, "internal error: see the log of the sidecar")
