"""JSON requests: what is accepted is what json_format accepts, and refusals name the field."""

import json
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st
from undertone_protos.v1 import classifier_pb2
from undertone_sidecar.http.json_requests import decode_json
from undertone_sidecar.http.json_text import JsonError, JsonLimits

LIMITS = JsonLimits(elements=200, escapes=100)

TEXTS = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
POLICIES = st.none() | st.integers(-3, 9) | st.sampled_from(list(classifier_pb2.OverlengthPolicy.keys()))
PARAGRAPHS = st.fixed_dictionaries({}, optional={"text": TEXTS, "id": TEXTS})
CLASSIFY = st.fixed_dictionaries({}, optional={"text": TEXTS, "id": TEXTS, "overlengthPolicy": POLICIES})
BATCHES = st.fixed_dictionaries(
    {}, optional={"paragraphs": st.none() | st.lists(PARAGRAPHS, max_size=4), "overlength_policy": POLICIES}
)


def decoded(body: bytes, request: Message) -> Message:
    list(decode_json(body, request, LIMITS))
    return request


def check(value: Any, request: type[Message], *, ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    assert decoded(text.encode(), request()) == json_format.Parse(text, request())


@given(CLASSIFY, st.booleans(), st.sampled_from([None, 2]))
def test_requests_are_decoded_as_by_json_format(value: Any, ascii_only: bool, indent: int | None) -> None:
    check(value, classifier_pb2.ClassifyRequest, ascii_only=ascii_only, indent=indent)


@given(BATCHES, st.booleans(), st.sampled_from([None, 2]))
def test_batches_are_decoded_as_by_json_format(value: Any, ascii_only: bool, indent: int | None) -> None:
    check(value, classifier_pb2.ClassifyBatchRequest, ascii_only=ascii_only, indent=indent)


@given(st.binary(max_size=40) | st.text('{}[]",:\\u0 textid1e.-', max_size=40).map(str.encode))
def test_any_other_body_is_refused_without_its_text(body: bytes) -> None:
    request = classifier_pb2.ClassifyRequest()
    try:
        decoded(body, request)
    except JsonError:
        return
    assert json_format.Parse(body, classifier_pb2.ClassifyRequest()) == request


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "line 1, column 1: the text ends here, but the JSON is incomplete"),
        (b'{"text": "a\xff"}', "byte 11: the body is not UTF-8: convert it"),
        (b"\x1f\x8b\x08\x00", "the body is compressed with gzip: send it uncompressed"),
        (b'{"text": "secret', "line 1, column 10: the string that starts here has no closing quote"),
        (b'\xef\xbb\xbf{"text": "secret"}', "the text starts with a byte order mark: remove it"),
        (b'{"text": "secret"} x', "line 1, column 20: there is more text after the end of the JSON"),
        (b'{"text": "\\ud800"}', "text contains half of a surrogate pair"),
        (b'["secret"]', "the request must be an object"),
        (b'{"txt": "secret"}', 'the field "txt" of the request is unknown: send text, id or overlengthPolicy'),
        (b'{"text": "secret", "text": "b"}', "the field text of the request is repeated"),
        (b'{"overlengthPolicy": 1, "overlength_policy": 1}', "the field overlengthPolicy of the request is repeated"),
        (b'{"text": 7}', "text must be a string"),
        (b'{"text": NaN}', "text must be a string"),
        (b'{"text": {"secret": 1}}', "text must be a string"),
        (
            b'{"overlengthPolicy": true}',
            "the value of overlengthPolicy is unknown: send one of TRUNCATE, CHUNK_MEAN, CHUNK_MAX, REJECT",
        ),
        (b'{"overlengthPolicy": 1.5}', "the value of overlengthPolicy is unknown"),
        (b'{"overlengthPolicy": %s}' % (b"1" * 10_000), "the value of overlengthPolicy is unknown"),
        (b'{"overlengthPolicy": "\\ud800"}', "of overlengthPolicy is unknown: send one of TRUNCATE"),
        (b'{"overlengthPolicy": "CUT"}', '"CUT" of overlengthPolicy is unknown: send one of TRUNCATE'),
        (b'{"text": ' + b"[" * 150, "the text ends here"),
        (b"[" * 10_000, "the request has more than 200 elements: send several smaller requests"),
        (b"[%s0]" % (b"0," * 10_000), "the request has more than 200 elements: send several smaller requests"),
        (b'[%s""]' % (b'"",' * 10_000), "the request has more than 200 elements: send several smaller requests"),
        (b" " * 65_537, "character 0: no string within 65536 characters"),
        (b'"%s' % (b"\\n" * 101), "the request has more than 100 escape sequences: send several smaller requests"),
    ],
)
def test_a_refusal_says_what_is_wrong(body: bytes, message: str) -> None:
    with pytest.raises(JsonError) as refusal:
        decoded(body, classifier_pb2.ClassifyRequest())
    assert message in str(refusal.value)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"paragraphs": {"text": "a"}}', "paragraphs must be an array"),
        (b'{"paragraphs": ["a"]}', "an element of paragraphs must be an object"),
        (b'{"paragraphs": [null]}', "an element of paragraphs must be an object"),
        (b'{"paragraphs": [{"txt": "a"}]}', 'the field "txt" of an element of paragraphs is unknown: send text or id'),
        (b'{"paragraphs": [{"id": "a", "id": "a"}]}', "the field id of an element of paragraphs is repeated"),
    ],
)
def test_a_refusal_names_the_field_of_a_paragraph(body: bytes, message: str) -> None:
    with pytest.raises(JsonError, match=message):
        decoded(body, classifier_pb2.ClassifyBatchRequest())


def test_escaped_backslashes_are_counted_once() -> None:
    request = classifier_pb2.ClassifyRequest()
    decoded(b'{"text": "%s"}' % (rb"\\" * 100), request)
    assert request.text == "\\" * 100


def test_deep_arrays_are_refused() -> None:
    with pytest.raises(JsonError, match="the arrays and objects are too deep"):
        list(decode_json(b"[" * 60_000, classifier_pb2.ClassifyRequest(), JsonLimits(1_000_000, 0)))
