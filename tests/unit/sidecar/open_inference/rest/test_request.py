"""Reading of bodies, without a server."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from undertone_protos.inference import open_inference_pb2
from undertone_sidecar.errors import RequestError
from undertone_sidecar.http import JsonLimits
from undertone_sidecar.open_inference.raw_bytes import pack, unpack
from undertone_sidecar.open_inference.rest.request import parse_body, read_request

LIMITS = JsonLimits(elements=1000, escapes=1000)
TEXT = {"name": "text", "datatype": "BYTES", "shape": [1], "data": ["rain"]}
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=8,
)


def read(body: bytes | Mapping[str, Any], json_bytes: int | None = None) -> open_inference_pb2.ModelInferRequest:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_request(*asyncio.run(parse_body(data, json_bytes, LIMITS)), model="emotions", version="")[0]


def infer(**changes: Any) -> dict[str, Any]:
    return {"inputs": [TEXT]} | changes


def text(**changes: Any) -> dict[str, Any]:
    return {"inputs": [TEXT | changes]}


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=5), st.sampled_from(["flat", "column", "binary"]))
def test_elements_become_raw_contents(texts: list[str], form: str) -> None:
    elements = [text.encode() for text in texts]
    shape = [len(texts), 1] if form == "column" else [len(texts)]
    tensor: dict[str, Any] = {"name": "text", "datatype": "BYTES", "shape": shape}
    if form == "binary":
        packed = pack(elements)
        text_bytes = json.dumps({"inputs": [tensor | {"parameters": {"binary_data_size": len(packed)}}]}).encode()
        message = read(text_bytes + packed, len(text_bytes))
    else:
        message = read({"inputs": [tensor | {"data": [[text] for text in texts] if form == "column" else texts}]})
    assert unpack(message.raw_input_contents[0], len(texts), "text") == elements
    assert (message.model_name, list(message.inputs[0].shape)) == ("emotions", shape)
    assert not message.inputs[0].parameters


def test_parameters_keep_their_types() -> None:
    parameters = {"overlength_policy": "TRUNCATE", "a": True, "b": 5, "c": 0.5, "d": 2**63, "e": None, "headers": {"x": "y"}}
    message = read(infer(parameters=parameters, id="7", outputs=[{"name": "label", "parameters": {"binary_data": True}}]))
    assert {name: p.WhichOneof("parameter_choice") for name, p in message.parameters.items()} == {
        "overlength_policy": "string_param",
        "a": "bool_param",
        "b": "int64_param",
        "c": "double_param",
        "d": "uint64_param",
    }
    assert (message.id, message.outputs[0].name, len(message.outputs[0].parameters)) == ("7", "label", 0)


def test_outputs_are_binary_by_name_or_by_default() -> None:
    outputs = [{"name": "label", "parameters": {"binary_data": False}}, {"name": "tokens"}]
    body = json.dumps(infer(outputs=outputs, parameters={"binary_data_output": True})).encode()
    _, binary = read_request(*asyncio.run(parse_body(body, None, LIMITS)), model="emotions", version="")
    assert [name in binary for name in ("label", "tokens")] == [False, True]
    _, none = read_request(infer(), memoryview(b""), model="emotions", version="")
    assert "label" not in none


def test_fields_with_null_are_left_out() -> None:
    body = infer(id=None, parameters=None, outputs=None, model_name=None, model_version="1")
    assert read(body | {"inputs": [TEXT | {"parameters": None}]}).model_version == "1"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the request is invalid: line 1, column 1: the text ends here"),
        (b'{"inputs": \xff}', "byte 11: the body is not UTF-8"),
        (b"[" * 2000, "more than 1000 elements"),
        (b'{"id": "' + b"\\n" * 1001 + b'"}', "more than 1000 escape sequences"),
        (b"[]", "the request must be an object"),
        (b'{"inputs": [], "inputs": []}', "a field of the request is there twice"),
        (b'{"id": NaN}', "NaN is not a number in JSON"),
        (b'{"id": ' + b"9" * 5000 + b"}", "has 5000 digits"),
        (infer(input=[]), "the request has the unknown field 'input': send model_name"),
        ({"id": "1"}, "inputs of the request is missing: send an array"),
        (infer(inputs={}), "inputs of the request must be an array"),
        (infer(inputs=[1]), "input 0 must be an object"),
        (infer(id=1), "id of the request must be a string"),
        (infer(model_name="other"), "model_name is 'other' in the body, but 'emotions' in the path"),
        (infer(parameters=[]), "parameters of the request must be an object"),
        (infer(parameters={"lane": []}), "the parameter 'lane' of the request must be a string, a number of 64 bits"),
        (infer(parameters={"timeout": 2**64}), "the parameter 'timeout' of the request must be"),
        (infer(parameters={"binary_data_output": 1}), "binary_data_output of the request must be true or false"),
        (infer(outputs=[{}]), "name of output 0 is missing"),
        (
            infer(outputs=[{"name": "label", "parameters": {"binary_data": "yes"}}]),
            "binary_data of output 0 must be true or false",
        ),
        (text(data=None), "data of input 0 is missing"),
        (text(data=["rain", "home"]), "data of input 0 has 2 elements, but its shape has 1"),
        (text(data=[1]), "element 0 of data of input 0 must be a string"),
        (text(data=["\ud800"]), "element 0 of data of input 0 has half of a surrogate pair at character 0"),
        (text(shape=[True]), "each size in shape of input 0 must be an integer"),
        (text(shape=[1.0]), "each size in shape of input 0 must be an integer"),
        (text(shape=[2**64 - 1]), "a size in shape of input 0 has more than 64 bits"),
        (text(parameters={"binary_data_size": 4}), "input 0 has data and binary_data_size"),
        (text(data=None, parameters={"binary_data_size": 4}), "binary_data_size of input 0 is 4, but 0 bytes follow"),
        (text(data=None, parameters={"binary_data_size": -1}), "binary_data_size of input 0 is -1"),
        (text(name="\udfff"), "name of input 0 has half of a surrogate pair"),
    ],
)
def test_errors_name_the_field_and_the_remedy(body: bytes | Mapping[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        read(body)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("json_bytes", "message"), [(10**6, "by its header: send both completely"), (1, "is invalid: line 1, column")]
)
def test_the_size_of_the_json_object_must_fit(json_bytes: int, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        read(json.dumps(infer()).encode(), json_bytes)


def test_bytes_after_the_tensors_are_refused() -> None:
    body = json.dumps(infer()).encode()
    with pytest.raises(RequestError, match="3 bytes follow the tensors: send the binary_data_size of each"):
        read(body + b"abc", len(body))


@given(JSON_VALUES, st.sampled_from(["id", "parameters", "inputs", "outputs"]), st.booleans())
def test_any_json_is_read_or_refused(value: object, field: str, in_tensor: bool) -> None:
    names: Sequence[str] = list(TEXT)
    bodies = [text(**{name: value}) for name in names] if in_tensor else [infer(**{field: value}), {field: value}]
    for body in bodies:
        try:
            message = read(json.dumps(body).encode())
        except RequestError:
            continue
        assert len(message.raw_input_contents) == len(message.inputs)
