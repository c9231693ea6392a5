"""The route for the OpenAPI document of this port."""

import json
from importlib.resources import files
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from undertone_sidecar.request_limits import RequestLimits


def openapi_route(limits: RequestLimits, model_name: str) -> Route:
    """/openapi.json: the generated document for a server with these limits and this model."""
    text = json.dumps(document_of(limits, model_name), ensure_ascii=False, separators=(",", ":"))

    async def answer(_: Request) -> Response:
        return Response(text, media_type="application/json")

    return Route("/openapi.json", answer)


def document_of(limits: RequestLimits, model_name: str) -> dict[str, Any]:
    """The generated document, with the model's name and the limits that a JSON schema can express.

    The paragraphs of a batch have no limits in it, because each has an error of its own.
    """
    document: dict[str, Any] = json.loads(files("undertone_sidecar.http").joinpath("openapi.json").read_bytes())
    schemas = document["components"]["schemas"]
    schemas["ClassifyRequest"]["properties"]["text"]["maxLength"] = limits.paragraph_characters
    schemas["ClassifyBatchRequest"]["properties"]["paragraphs"]["maxItems"] = limits.batch_paragraphs
    document["components"]["parameters"]["model"] |= {"schema": {"type": "string", "enum": [model_name]}, "example": model_name}
    return document
