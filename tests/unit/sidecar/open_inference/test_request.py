"""Reading of requests, without a server."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from undertone_protos.inference import open_inference_pb2
from undertone_sidecar.answers import Paragraph
from undertone_sidecar.batching import Lane
from undertone_sidecar.chunks import OverlengthPolicy
from undertone_sidecar.errors import ParagraphError, RequestError
from undertone_sidecar.open_inference.parameters import InferOptions
from undertone_sidecar.open_inference.raw_bytes import pack
from undertone_sidecar.open_inference.request import read_request
from undertone_sidecar.request_limits import RequestLimits

LIMITS = RequestLimits(paragraph_bytes=60, paragraph_characters=50, batch_paragraphs=4, batch_bytes=100)

Request = open_inference_pb2.ModelInferRequest
Contents = open_inference_pb2.InferTensorContents


def tensor(name: str = "text", elements: Sequence[bytes] | None = (b"rain",), **changes: Any) -> Request.InferInputTensor:
    """A valid input with some changes. Without elements, it has no contents."""
    fields: dict[str, Any] = {"datatype": "BYTES", "shape": [len(elements or (b"",))]}
    if elements is not None:
        fields["contents"] = Contents(bytes_contents=elements)
    return Request.InferInputTensor(name=name, **fields | changes)


def parameters(**values: object) -> Mapping[str, open_inference_pb2.InferParameter]:
    kinds = {str: "string_param", bool: "bool_param", int: "int64_param", float: "double_param", type(None): None}
    return {
        name: open_inference_pb2.InferParameter(**{kind: value} if (kind := kinds[type(value)]) else {})  # type: ignore[arg-type]
        for name, value in values.items()
    }


def requested(name: str, **values: object) -> Request.InferRequestedOutputTensor:
    return Request.InferRequestedOutputTensor(name=name, parameters=parameters(**values))


@given(st.lists(st.text(min_size=1, max_size=5).filter(str.strip), min_size=1, max_size=4), st.booleans(), st.booleans())
def test_raw_and_typed_contents_have_the_same_meaning(texts: list[str], is_column: bool, has_ids: bool) -> None:
    shape = [len(texts), 1] if is_column else [len(texts)]
    columns = {"text": [text.encode() for text in texts]} | ({"id": [b"%d" % i for i in range(len(texts))]} if has_ids else {})
    typed = Request(inputs=[tensor(name, elements, shape=shape) for name, elements in columns.items()])
    raw = Request(
        inputs=[tensor(name, None, shape=shape) for name in columns],
        raw_input_contents=[pack(elements) for elements in columns.values()],
    )
    expected = [Paragraph(text, str(index) if has_ids else "") for index, text in enumerate(texts)]
    for request, is_raw in ((typed, False), (raw, True)):
        read = read_request(request, LIMITS)
        assert (list(read.paragraphs), read.has_ids, read.is_raw) == (expected, has_ids, is_raw)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4), st.integers(0, 5), st.booleans())
def test_every_shape_fits_or_is_refused(shape: list[int], count: int, is_raw: bool) -> None:
    elements = [b"a"] * count
    request = Request(
        inputs=[tensor(elements=None if is_raw else elements, shape=shape)],
        raw_input_contents=[pack(elements)] if is_raw else [],
    )
    if shape in ([count], [count, 1]) and 0 < count <= 4:
        assert len(read_request(request, LIMITS).paragraphs) == count
    else:
        with pytest.raises(RequestError):
            read_request(request, LIMITS)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request(), "the input 'text' is missing: send it with the datatype BYTES"),
        (Request(inputs=[tensor("txt")]), "the input 'txt' is unknown: send 'text', and 'id' if wanted"),
        (Request(inputs=[tensor("t" * 1000)]), "the input 't{64}…' is unknown"),
        (Request(inputs=[tensor(), tensor()]), "'text' is there more than once"),
        (Request(inputs=[tensor(datatype="FP32")]), "has the datatype 'FP32': send BYTES"),
        (Request(inputs=[tensor(shape=[1, 2])]), r"has the shape \[1, 2\]: send \[n\] or \[n, 1\]"),
        (Request(inputs=[tensor(shape=[])]), "has 0 dimensions"),
        (Request(inputs=[tensor(shape=[1] * 1000)]), "has 1000 dimensions"),
        (Request(inputs=[tensor(shape=[2])]), "has 1 elements in bytes_contents, but its shape has 2"),
        (Request(inputs=[tensor(shape=[0], elements=())]), "the batch has no paragraphs; send at least one"),
        (Request(inputs=[tensor(shape=[2**40])]), "has 1099511627776 paragraphs; the limit is 4"),
        (
            Request(inputs=[tensor(contents=Contents(fp32_contents=[1.0]))]),
            "has fp32_contents: send bytes_contents",
        ),
        (
            Request(inputs=[tensor()], raw_input_contents=[pack([b"rain"])]),
            "has contents, and the request has raw_input_contents",
        ),
        (
            Request(inputs=[tensor(elements=None)], raw_input_contents=[b"", b""]),
            "has 2 elements, but the request has 1 inputs",
        ),
        (Request(inputs=[tensor(elements=None)], raw_input_contents=[b"rain"]), "has 1852399986 bytes by its prefix"),
        (Request(inputs=[tensor(), tensor("id", (b"1", b"2"))]), "'id' has 2 elements, but the input 'text' has 1"),
        (Request(inputs=[tensor(elements=(b"rain", b"\xff"))]), "paragraph 1: the input 'text' is not UTF-8 at byte 0"),
        (Request(inputs=[tensor(elements=(b"a" * 50,) * 3)]), "150 bytes in UTF-8; the limit is 100: send several"),
        (
            Request(inputs=[tensor(parameters=parameters(shared_memory_region="a"))]),
            "'shared_memory_region' of the input 'text' is",
        ),
        (Request(inputs=[tensor()], outputs=[requested("label")] * 2), "'label' is requested more than once"),
        (
            Request(inputs=[tensor()], outputs=[requested("label", classification=3)]),
            "the parameter 'classification' of the output 'label' is not supported: remove it",
        ),
        (Request(inputs=[tensor()], id="i" * 300), "id has 300 characters; the limit is 256"),
    ],
)
def test_errors_name_the_value_and_the_remedy(request_: Request, message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        read_request(request_, LIMITS)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("text", "message"), [(b"", "is empty"), (b" \n", "white space only"), (b"a" * 55, "55 characters; the limit is 50")]
)
def test_the_error_of_a_paragraph_begins_with_its_index(text: bytes, message: str) -> None:
    with pytest.raises(ParagraphError, match=f"^paragraph 1: text .*{message}"):
        read_request(Request(inputs=[tensor(elements=(b"rain", text, b""))]), LIMITS)


def test_parameters_set_the_policy_the_lane_and_the_timeout() -> None:
    sent = parameters(overlength_policy="CHUNK_MAX", lane="batch", timeout=1_500_000, content_type="str")
    assert InferOptions.read(sent) == InferOptions(OverlengthPolicy.CHUNK_MAX, Lane.BATCH, 1.5)
    long_name = parameters(overlength_policy="OVERLENGTH_POLICY_TRUNCATE", timeout=0)
    assert InferOptions.read(long_name) == InferOptions(OverlengthPolicy.TRUNCATE, None, None)
    assert InferOptions.read({}) == InferOptions(OverlengthPolicy.CHUNK_MEAN, None, None)


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (
            parameters(overlenght_policy="TRUNCATE"),
            "'overlenght_policy' of the request is not supported: send overlength_policy, lane, t",
        ),
        (parameters(priority=1), "'priority' of the request is not supported"),
        (parameters(overlength_policy="SHORTEN"), "'SHORTEN'; send one of the strings TRUNCATE, CHUNK_MEAN, CHUNK_MAX, REJECT"),
        (parameters(overlength_policy=1), "the parameter overlength_policy is 1; send"),
        (parameters(lane="fast"), "the parameter lane is 'fast'; send the string online or batch"),
        (parameters(lane=True), "the parameter lane is True"),
        (parameters(timeout="5s"), "the parameter timeout is '5s'; send microseconds as an integer"),
        (parameters(timeout=-1), "the parameter timeout is -1"),
        (parameters(timeout=None), "the parameter timeout is empty"),
    ],
)
def test_unknown_parameters_and_values_are_refused(sent: Mapping[str, open_inference_pb2.InferParameter], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        InferOptions.read(sent)
