"""The OpenAPI document that the sidecar serves."""

import json

import pytest
from starlette.requests import Request
from undertone_sidecar.errors import ParagraphError, RequestError
from undertone_sidecar.http import HTTP_STATUSES, openapi_route
from undertone_sidecar.http.openapi_route import document_of
from undertone_sidecar.request_limits import RequestLimits

LIMITS = RequestLimits(paragraph_bytes=4000, paragraph_characters=700, batch_paragraphs=30, batch_bytes=8000)


async def test_the_document_has_the_limits_of_this_server() -> None:
    response = await openapi_route(LIMITS, "moods").endpoint(Request({"type": "http"}))
    components = json.loads(response.body)["components"]
    schemas = components["schemas"]
    characters = schemas["ClassifyRequest"]["properties"]["text"]["maxLength"]
    identifier = schemas["ClassifyRequest"]["properties"]["id"]["maxLength"]
    paragraphs = schemas["ClassifyBatchRequest"]["properties"]["paragraphs"]["maxItems"]
    assert components["parameters"]["model"]["schema"]["enum"] == ["moods"]
    LIMITS.check_paragraph("é" * characters, "é" * identifier)
    LIMITS.check_batch(paragraphs, 0)
    for text, id_ in (("a" * (characters + 1), ""), ("a", "a" * (identifier + 1))):
        with pytest.raises(ParagraphError):
            LIMITS.check_paragraph(text, id_)
    with pytest.raises(RequestError):
        LIMITS.check_batch(paragraphs + 1, 0)


def test_the_statuses_of_errors_are_those_of_their_codes() -> None:
    document = document_of(LIMITS, "moods")
    statuses = {status.value[0]: number for status, number in HTTP_STATUSES.items()}
    responses = document["components"]["responses"]
    for path in ("/v1/paragraphs:classify", "/v1/paragraphs:classifyBatch"):
        answers = document["paths"][path]["post"]["responses"]
        assert answers.keys() == {"200", "400", "408", "413", "415", "429", "431", "500", "503", "504"}
        for status in answers.keys() - {"200", "408", "413", "415", "431"}:
            error = responses[answers[status]["$ref"].rpartition("/")[2]]
            assert statuses[error["content"]["application/json"]["example"]["code"]] == int(status)
