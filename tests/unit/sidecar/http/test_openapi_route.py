"""The OpenAPI document that the sidecar serves."""

import json

import pytest
from starlette.requests import Request
from undertone_sidecar.errors import ParagraphError, RequestError
from undertone_sidecar.http import HTTP_STATUSES, openapi_route
from undertone_sidecar.http.openapi_route import limited_document
from undertone_sidecar.request_limits import RequestLimits

LIMITS = RequestLimits(paragraph_bytes=4000, paragraph_characters=700, batch_paragraphs=30, batch_bytes=8000)


async def test_the_document_has_the_limits_of_this_server() -> None:
    response = await openapi_route(LIMITS).endpoint(Request({"type": "http"}))
    schemas = json.loads(response.body)["components"]["schemas"]
    characters = schemas["ClassifyRequest"]["properties"]["text"]["maxLength"]
    identifier = schemas["ClassifyRequest"]["properties"]["id"]["maxLength"]
    paragraphs = schemas["ClassifyBatchRequest"]["properties"]["paragraphs"]["maxItems"]
    LIMITS.check_paragraph("é" * characters, "é" * identifier)
    LIMITS.check_batch(paragraphs, 0)
    for text, id_ in (("a" * (characters + 1), ""), ("a", "a" * (identifier + 1))):
        with pytest.raises(ParagraphError):
            LIMITS.check_paragraph(text, id_)
    with pytest.raises(RequestError):
        LIMITS.check_batch(paragraphs + 1, 0)


def test_the_statuses_of_errors_are_those_of_their_codes() -> None:
    document = limited_document(LIMITS)
    statuses = {status.value[0]: number for status, number in HTTP_STATUSES.items()}
    responses = document["components"]["responses"]
    for path in document["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                if status not in ("413", "415") and "$ref" in response:
                    content = responses[response["$ref"].rpartition("/")[2]]["content"]["application/json"]
                    assert statuses[content["example"]["code"]] == int(status)
