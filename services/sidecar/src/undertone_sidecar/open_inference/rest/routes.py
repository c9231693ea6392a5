"""The paths under /v2, which call the gRPC service."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

import grpc
from google.protobuf import json_format
from google.protobuf.message import Message
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from undertone_protos.inference import open_inference_pb2

from undertone_sidecar.errors import RequestError
from undertone_sidecar.health import LIVENESS, OPEN_INFERENCE, Health
from undertone_sidecar.http import HTTP_STATUSES, Bodies, CallError, Calls, JsonLimits, retry_headers
from undertone_sidecar.open_inference.rest.request import parse_body, read_request
from undertone_sidecar.open_inference.rest.response import write_response
from undertone_sidecar.request_limits import RequestLimits

JSON_SIZE: Final = "Inference-Header-Content-Length"
"""Header of a body with binary tensors: the size of the JSON object before them, in bytes."""

_DIGITS: Final = re.compile("[0-9]{1,12}")
_NOT_READY: Final = 503
_OTHER_ELEMENTS: Final = 256
_MODEL_PATHS: Final = ("/models/{model}", "/models/{model}/versions/{version}")

_Response = TypeVar("_Response", bound=Message)


def open_inference_routes(calls: Calls, bodies: Bodies, health: Health, limits: RequestLimits) -> Sequence[BaseRoute]:
    """The routes of the protocol. Errors are objects with the field error."""
    json_limits = JsonLimits.of(limits, other_elements=_OTHER_ELEMENTS)
    endpoints = _Endpoints(calls, bodies, health, json_limits)
    routes = [
        Route("/", endpoints.server_metadata),
        Route("/health/live", endpoints.live),
        Route("/health/ready", endpoints.ready),
    ]
    for path in _MODEL_PATHS:
        routes += [
            Route(path, endpoints.model_metadata),
            Route(f"{path}/ready", endpoints.model_ready),
            Route(f"{path}/infer", endpoints.infer, methods=["POST"]),
        ]
    # Starlette declares its handlers for any exception.
    handlers: Mapping[Any, Any] = {
        CallError: _call_failed,
        RequestError: _request_refused,
        HTTPException: _not_routed,
        Exception: _internal_error,
    }
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.router.redirect_slashes = False
    return [Route("/v2", endpoints.server_metadata), Mount("/v2", app=app)]


class _Endpoints:
    """The methods of the protocol for HTTP requests."""

    def __init__(self, calls: Calls, bodies: Bodies, health: Health, json_limits: JsonLimits) -> None:
        self._calls = calls
        self._bodies = bodies
        self._health = health
        self._json_limits = json_limits

    async def live(self, _: Request) -> Response:
        live = self._health.is_serving(LIVENESS)
        return _health(ready=live, content={"live": live})

    async def ready(self, _: Request) -> Response:
        ready = self._health.is_serving(OPEN_INFERENCE)
        return _health(ready=ready, content={"ready": ready})

    async def model_ready(self, request: Request) -> Response:
        message = open_inference_pb2.ModelReadyRequest(**_model_of(request))
        answer = await self._call(request, "ModelReady", message, open_inference_pb2.ModelReadyResponse)
        return _health(ready=answer.ready, content={"name": message.name, "ready": answer.ready})

    async def server_metadata(self, request: Request) -> Response:
        message = open_inference_pb2.ServerMetadataRequest()
        return _json(await self._call(request, "ServerMetadata", message, open_inference_pb2.ServerMetadataResponse))

    async def model_metadata(self, request: Request) -> Response:
        message = open_inference_pb2.ModelMetadataRequest(**_model_of(request))
        return _json(await self._call(request, "ModelMetadata", message, open_inference_pb2.ModelMetadataResponse))

    async def infer(self, request: Request) -> Response:
        _refuse_foreign_page(request)
        names = _model_of(request)
        async with self._bodies.read(request) as body:
            value, rest = await parse_body(body, _json_bytes(request), self._json_limits)
            del body
            await asyncio.sleep(0)
            message, binary = read_request(value, rest, model=names["name"], version=names["version"])
            del value, rest
            answer = await self._call(request, "ModelInfer", message, open_inference_pb2.ModelInferResponse)
        content, json_bytes = write_response(answer, binary)
        if json_bytes is None:
            return Response(content, media_type="application/json")
        return Response(content, media_type="application/octet-stream", headers={JSON_SIZE: str(json_bytes)})

    async def _call(self, request: Request, method: str, message: Message, response: type[_Response]) -> _Response:
        return await self._calls.unary(request, f"/{OPEN_INFERENCE}/{method}", message, response)


def _refuse_foreign_page(request: Request) -> None:
    """Refuses a call that a page of another site makes in a user's browser. Raises CallError.

    A page may call any address that the user can reach, and this protocol requires no header that a
    browser would ask the server about first.
    """
    if request.headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
        raise CallError(grpc.StatusCode.PERMISSION_DENIED, "a web page of another origin must not call this server")


def _model_of(request: Request) -> dict[str, str]:
    """Name and version of the model in the path."""
    return {"name": request.path_params["model"], "version": request.path_params.get("version", "")}


def _json_bytes(request: Request) -> int | None:
    """The size of the JSON object by its header. Raises RequestError."""
    value = request.headers.get(JSON_SIZE)
    if value is not None and not _DIGITS.fullmatch(value):
        raise RequestError(f"the header {JSON_SIZE} is not a number of bytes: send the size of the JSON object")
    return None if value is None else int(value)


def _json(message: Message) -> Response:
    return JSONResponse(_integers(json_format.MessageToDict(message, always_print_fields_with_no_presence=True)))


def _integers(metadata: dict[str, Any]) -> dict[str, Any]:
    """Metadata with integers in shapes, where the JSON form of protobuf has strings."""
    for tensor in (*metadata.get("inputs", []), *metadata.get("outputs", [])):
        tensor["shape"] = [int(size) for size in tensor["shape"]]
    return metadata


def _health(*, ready: bool, content: Mapping[str, Any]) -> Response:
    return JSONResponse(content, 200 if ready else _NOT_READY)


def _error(http_status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse({"error": message}, http_status, headers)


async def _call_failed(_: Request, error: CallError) -> Response:
    status = HTTP_STATUSES[error.code] if error.http_status is None else error.http_status
    return _error(status, error.message, retry_headers(error.retry_after))


async def _request_refused(_: Request, error: RequestError) -> Response:
    return _error(HTTP_STATUSES[grpc.StatusCode.INVALID_ARGUMENT], str(error))


async def _not_routed(request: Request, error: HTTPException) -> Response:
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "").replace(", ", " or ")
        return _error(405, f"the HTTP method {request.method} is not supported: send {allowed}", error.headers)
    return _error(error.status_code, "this path does not exist: see the Open Inference Protocol")


async def _internal_error(_: Request, __: Exception) -> Response:
    # The application logs the error, which Starlette raises again after the answer.
    return _error(500, "internal error: see the log of the sidecar")
