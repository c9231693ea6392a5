"""Only a JSON body that is a request of the method reaches a pod."""

import pytest

from tests.integration.envoy.conftest import Fleet
from tests.integration.support.envoy import Envoy, request
from tests.integration.support.envoy_requests import INVALID_ARGUMENT, JSON, JSON_BATCH, JSON_CLASSIFY


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        (JSON_CLASSIFY, b'{"txt": "rain"}', 'the field "txt" of the request is unknown: send text, id or overlengthPolicy'),
        (JSON_CLASSIFY, b'{"text": "rain", "Id": "a"}', 'the field "Id"'),
        (JSON_CLASSIFY, b'{"text": "rain", "te\\u0078t": "rain"}', 'the field "te\\u0078t" of the request is unknown'),
        (JSON_CLASSIFY, b'{"1": "rain"}', 'the field "1"'),
        (JSON_CLASSIFY, b'{"text": "a", "text": "b"}', "the field text of the request is repeated"),
        (
            JSON_CLASSIFY,
            b'{"overlengthPolicy": 1, "overlength_policy": 1}',
            "the field overlengthPolicy of the request is repeated",
        ),
        (JSON_CLASSIFY, b'{"text": ["rain"]}', "text must be a string"),
        (JSON_CLASSIFY, b'{"text": NaN}', "text must be a string"),
        (JSON_CLASSIFY, b'{"text": "rain", "id": {"a": 1}}', "id must be a string"),
        (JSON_CLASSIFY, b'{"text": "rain", "overlengthPolicy": 1.5}', "expected a comma or the end of the request"),
        (JSON_CLASSIFY, b'{"text": "rain"} x', "more bytes follow"),
        (JSON_CLASSIFY, b'{"text": "rain",}', "expected the name of a field"),
        (JSON_CLASSIFY, b"{'text': 'rain'}", "in double quotes"),
        (JSON_CLASSIFY, b'{"text": "a\x00b"}', "control character"),
        (JSON_CLASSIFY, b'{"text": "a\nb"}', "control character"),
        (JSON_CLASSIFY, b'{"text": "a\\xb"}', "escape sequence"),
        (JSON_CLASSIFY, b'{"text": "\\ud800"}', "surrogate"),
        (JSON_CLASSIFY, b'{"text": "\xff"}', "UTF-8"),
        (JSON_CLASSIFY, b'\xef\xbb\xbf{"text": "rain"}', "the request must be an object"),
        (JSON_CLASSIFY, '{"text": "rain"}'.encode("utf-16"), "the request must be an object"),
        (JSON_CLASSIFY, b"[" * 100_000, "the request must be an object"),
        (JSON_CLASSIFY, b'{"text": ' * 100_000, "text must be a string"),
        (JSON_CLASSIFY, b"null", "the request must be an object"),
        (JSON_CLASSIFY, b" ", "the request must be an object"),
        (JSON_CLASSIFY, b"", "the body is empty"),
        (
            JSON_BATCH,
            b'{"paragraphs": [{"text": "a"}, {"txt": "rain"}]}',
            'the field "txt" of an element of paragraphs is unknown',
        ),
        (JSON_BATCH, b'{"paragraphs": {"text": "rain"}}', "paragraphs must be an array"),
        (JSON_BATCH, b'{"paragraphs": [' + b"{}," * 1_000_000 + b"{}]}", "paragraphs has more than 65536 elements"),
        (JSON_BATCH, b'{"paragraphs": ["rain"]}', "an element of paragraphs must be an object"),
        (JSON_BATCH, b'{"paragraphs": [[{"text": "rain"}]]}', "an element of paragraphs must be an object"),
        (JSON_BATCH, b'{"paragraphs": [], "paragraphs": []}', "the field paragraphs of the request is repeated"),
        (JSON_BATCH, b'{"paragraph": []}', 'the field "paragraph" of the request is unknown: send paragraphs or'),
        (f"{JSON_CLASSIFY}?text=sun", JSON, "the path has a query (text)"),
        (f"{JSON_CLASSIFY}?overlengthPolicy=1&text=sun", JSON, "the path has a query (overlengthPolicy)"),
        (f"{JSON_CLASSIFY}?", JSON, "the path has a query ()"),
    ],
)
def test_json_that_is_not_a_request_of_the_method_is_refused(
    envoy: Envoy, fleet: Fleet, path: str, body: bytes, message: str
) -> None:
    envoy.until_used(fleet.sidecars)
    answer = request(envoy.api, "POST", path, body, Content_Type="application/json")
    assert answer.status == 400, answer
    assert (answer.json["code"], message in answer.json["message"]) == (INVALID_ARGUMENT, True), answer


@pytest.mark.parametrize(
    "body",
    [
        b' {\r\n\t"text" : "the \\"rain\\" \\u00e9\\ud83d\\ude00 \\\\" , "id":null}\n',
        b'{"overlength_policy": "OVERLENGTH_POLICY_TRUNCATE", "text": "rain"}',
        b'{"overlengthPolicy": "CHUNK_MAX", "text": "rain"}',
        b'{"overlengthPolicy": 1, "text": "rain", "id": ""}',
        '{"text": "der Regen über Köln, \x7f 雨 😀"}'.encode(),
    ],
)
def test_json_in_any_notation_is_accepted(envoy: Envoy, fleet: Fleet, body: bytes) -> None:
    envoy.until_used(fleet.sidecars)
    answer = request(envoy.api, "POST", JSON_CLASSIFY, body, Content_Type="application/json")
    assert answer.status == 200, answer
