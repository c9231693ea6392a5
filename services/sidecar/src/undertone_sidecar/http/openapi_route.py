"""The route for the OpenAPI document of this port."""

import json
from importlib.resources import files
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from undertone_sidecar.request_limits import RequestLimits


def openapi_route(limits: RequestLimits) -> Route:
    """/openapi.json: the generated document with the limits of this server."""
    text = json.dumps(limited_document(limits), ensure_ascii=False, separators=(",", ":"))

    async def answer(_: Request) -> Response:
        return Response(text, media_type="application/json")

    return Route("/openapi.json", answer)


def limited_document(limits: RequestLimits) -> dict[str, Any]:
    """The generated document, with the limits that a JSON schema can express.

    The paragraphs of a batch have no limits in it, because each has an error of its own.
    """
    document: dict[str, Any] = json.loads(files("undertone_sidecar.http").joinpath("openapi.json").read_bytes())
    schemas = document["components"]["schemas"]
    schemas["ClassifyRequest"]["properties"]["text"]["maxLength"] = limits.paragraph_characters
    schemas["ClassifyBatchRequest"]["properties"]["paragraphs"]["maxItems"] = limits.batch_paragraphs
    return document
