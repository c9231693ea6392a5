"""The routes of the service undertone.v1.Classifier."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import grpc
from google.protobuf.message import Message
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from undertone_protos.v1 import classifier_pb2

from undertone_sidecar.call_guard import LARGE_BYTES
from undertone_sidecar.health import CLASSIFIER
from undertone_sidecar.http.bodies import Bodies
from undertone_sidecar.http.call_error import CallError
from undertone_sidecar.http.calls import Calls
from undertone_sidecar.http.json_requests import decode_json
from undertone_sidecar.http.json_responses import encode_json
from undertone_sidecar.http.json_text import JsonError, JsonLimits
from undertone_sidecar.request_limits import RequestLimits

_POSTED: Final[Sequence[tuple[str, str, type[Message], type[Message]]]] = (
    ("/v1/paragraphs:classify", "Classify", classifier_pb2.ClassifyRequest, classifier_pb2.ClassifyResponse),
    (
        "/v1/paragraphs:classifyBatch",
        "ClassifyBatch",
        classifier_pb2.ClassifyBatchRequest,
        classifier_pb2.ClassifyBatchResponse,
    ),
)
"""Path, name, request and response of the methods with a body."""

_JSON: Final = re.compile("application/json([ ;].*)?", re.IGNORECASE)

_OTHER_ELEMENTS: Final = 64


def classifier_routes(calls: Calls, bodies: Bodies, limits: RequestLimits) -> list[Route]:
    """The routes of the service's methods, as in the proto."""
    json_limits = JsonLimits.of(limits, other_elements=_OTHER_ELEMENTS)
    return [
        *(
            _route("POST", path, _posted(calls, bodies, f"/{CLASSIFIER}/{name}", request, response, json_limits))
            for path, name, request, response in _POSTED
        ),
        _route("GET", "/v1/model", _model(calls)),
    ]


def _route(method: str, path: str, endpoint: Callable[[Request], Awaitable[Response]]) -> Route:
    route = Route(path, endpoint)
    route.methods = {method}  # without HEAD
    return route


def _posted(
    calls: Calls,
    bodies: Bodies,
    method: str,
    request_type: type[Message],
    response_type: type[Message],
    limits: JsonLimits,
) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        if not _JSON.fullmatch(request.headers.get("content-type", "")):
            raise CallError(
                grpc.StatusCode.UNIMPLEMENTED, "the content type is not supported: send application/json", http_status=415
            )
        _refuse_query(request)
        message = request_type()
        async with bodies.read(request) as body:
            if not body:
                raise CallError(grpc.StatusCode.INVALID_ARGUMENT, "the body is empty: send a JSON object")
            is_large = len(body) > LARGE_BYTES
            try:
                for _ in decode_json(body, message, limits):
                    if is_large:
                        await asyncio.sleep(0)
            except JsonError as error:
                raise CallError(grpc.StatusCode.INVALID_ARGUMENT, f"the request is invalid: {error}") from None
            del body
            return _json(await calls.unary(request, method, message, response_type))

    return answer


def _model(calls: Calls) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        _refuse_query(request)
        message = classifier_pb2.GetModelRequest()
        return _json(await calls.unary(request, f"/{CLASSIFIER}/GetModel", message, classifier_pb2.GetModelResponse))

    return answer


def _refuse_query(request: Request) -> None:
    if request.url.query:
        name = re.split("[=&]", request.url.query, maxsplit=1)[0][:40]
        raise CallError(
            grpc.StatusCode.INVALID_ARGUMENT, f"the path has a query ({name}): send the fields of the request in the body"
        )


def _json(message: Message) -> Response:
    return Response(encode_json(message), media_type="application/json")
