"""The routes of the service undertone.v1.Classifier."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import grpc
from google.protobuf import json_format
from google.protobuf.message import Message
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from undertone_protos.v1 import classifier_pb2

from undertone_sidecar.health import CLASSIFIER
from undertone_sidecar.http.bodies import BodyReader
from undertone_sidecar.http.calls import CallError, Calls

_METHODS: Final[Sequence[tuple[str, str, str, type[Message], type[Message]]]] = (
    ("POST", "/v1/paragraphs:classify", "Classify", classifier_pb2.ClassifyRequest, classifier_pb2.ClassifyResponse),
    (
        "POST",
        "/v1/paragraphs:classifyBatch",
        "ClassifyBatch",
        classifier_pb2.ClassifyBatchRequest,
        classifier_pb2.ClassifyBatchResponse,
    ),
    ("GET", "/v1/model", "GetModel", classifier_pb2.GetModelRequest, classifier_pb2.GetModelResponse),
)


def classifier_routes(calls: Calls, bodies: BodyReader) -> list[Route]:
    """The routes of the service's methods, as in the proto."""
    return [
        Route(path, _endpoint(calls, bodies, f"/{CLASSIFIER}/{name}", request, response), methods=[verb])
        for verb, path, name, request, response in _METHODS
    ]


def _endpoint(
    calls: Calls, bodies: BodyReader, method: str, request_type: type[Message], response_type: type[Message]
) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        message = request_type()
        if request.method == "POST":
            _parse(await bodies.read(request), message)
        response = await calls.unary(request, method, message, response_type)
        text = json_format.MessageToJson(response, indent=None, always_print_fields_with_no_presence=True)
        return Response(text, media_type="application/json")

    return answer


def _parse(body: bytes, message: Message) -> None:
    if not body:
        raise CallError(grpc.StatusCode.INVALID_ARGUMENT, "the body is empty: send a JSON object")
    try:
        json_format.Parse(body, message)
    except (json_format.ParseError, ValueError) as error:
        raise CallError(grpc.StatusCode.INVALID_ARGUMENT, f"the request is not valid JSON of the method: {error}") from None
