"""Reads inference requests: JSON, and binary tensors after it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from undertone_protos.inference import open_inference_pb2

from undertone_sidecar.errors import RequestError
from undertone_sidecar.http import JsonError, JsonLimits, parse_json
from undertone_sidecar.open_inference import raw_bytes
from undertone_sidecar.open_inference.parameters import IGNORED, shown
from undertone_sidecar.open_inference.request import BYTES
from undertone_sidecar.open_inference.rest.fields import as_object, optional, required, typed

BINARY_SIZE: Final = "binary_data_size"
_BINARY: Final = "binary_data"
_BINARY_OUTPUT: Final = "binary_data_output"

_REQUEST_FIELDS: Final = ("model_name", "model_version", "id", "parameters", "inputs", "outputs")
_INPUT_FIELDS: Final = ("name", "shape", "datatype", "parameters", "data")
_OUTPUT_FIELDS: Final = ("name", "parameters")

_INT64: Final = range(-(2**63), 2**63)
_UINT64: Final = range(2**64)
_MAX_DIGITS: Final = 20
"""Python needs quadratic time for the digits of an integer."""


@dataclass(frozen=True, slots=True)
class BinaryOutputs:
    """Which outputs of the response are binary: those named, and by default all or none."""

    default: bool
    named: Mapping[str, bool]

    def __contains__(self, name: str) -> bool:
        return self.named.get(name, self.default)


async def parse_body(body: bytes, json_bytes: int | None, limits: JsonLimits) -> tuple[Any, memoryview]:
    """The JSON object of a body, and the binary tensors after it.

    Gives way to other calls between steps that take milliseconds for a large body.

    Args:
        body: The body of a request.
        json_bytes: Size of the JSON object. None without binary tensors.
        limits: Limits of the JSON object.

    Raises:
        RequestError: The object is not complete, or not JSON.
    """
    size = len(body) if json_bytes is None else json_bytes
    if size > len(body):
        raise RequestError(
            f"the body has {len(body)} bytes, but its JSON object has {size} by its header: send both completely"
        )
    return await _parse(body[:size], limits), memoryview(body)[size:]


def read_request(
    value: object, rest: memoryview, *, model: str, version: str
) -> tuple[open_inference_pb2.ModelInferRequest, BinaryOutputs]:
    """The request with raw contents, and the form of its outputs.

    Args:
        value: The JSON object.
        rest: The binary tensors.
        model: Name of the model in the path.
        version: Version in the path. Empty without one.

    Raises:
        RequestError: The value is not an inference request, or the tensors do not fit it.
    """
    fields = as_object(value, "the request", _REQUEST_FIELDS)
    message = open_inference_pb2.ModelInferRequest(
        model_name=_same(fields, "model_name", model),
        model_version=_same(fields, "model_version", version),
        id=_utf8(optional(fields, "id", str, "the request") or "", "id of the request"),
    )
    parameters = optional(fields, "parameters", dict, "the request") or {}
    _add_parameters(message.parameters, parameters, "the request")
    for index, tensor in enumerate(required(fields, "inputs", list, "the request")):
        data, rest = _add_input(message, as_object(tensor, f"input {index}", _INPUT_FIELDS), f"input {index}", rest)
        message.raw_input_contents.append(data)
    if rest:
        raise RequestError(f"{len(rest)} bytes follow the tensors: send the {BINARY_SIZE} of each binary input")
    named = {}
    for index, output in enumerate(optional(fields, "outputs", list, "the request") or []):
        what = f"output {index}"
        output_fields = as_object(output, what, _OUTPUT_FIELDS)
        name = _utf8(required(output_fields, "name", str, what), f"name of {what}")
        added = message.outputs.add(name=name)
        output_parameters = optional(output_fields, "parameters", dict, what) or {}
        _add_parameters(added.parameters, output_parameters, what)
        binary = optional(output_parameters, _BINARY, bool, what)
        if binary is not None:
            named[name] = binary
    return message, BinaryOutputs(optional(parameters, _BINARY_OUTPUT, bool, "the request") or False, named)


async def _parse(data: bytes, limits: JsonLimits) -> Any:
    steps = parse_json(data, limits, object_pairs_hook=_without_repetition, parse_constant=_refuse, parse_int=_integer)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return done.value
        except JsonError as error:
            raise RequestError(f"the request is invalid: {error}") from None
        await asyncio.sleep(0)


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise RequestError("a field of the request is there twice: send it once")
    return fields


def _refuse(constant: str) -> None:
    raise RequestError(f"{constant} is not a number in JSON")


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise RequestError(f"an integer of the request has {len(digits)} digits; the limit is {_MAX_DIGITS}")
    return int(digits)


def _same(fields: Mapping[str, Any], name: str, in_path: str) -> str:
    """A name in the path, which the body may repeat."""
    in_body = optional(fields, name, str, "the request")
    if in_body and in_path and in_body != in_path:
        raise RequestError(
            f"{name} is {shown(in_body)} in the body, but {shown(in_path)} in the path: leave it out of the body"
        )
    return in_path or _utf8(in_body or "", f"{name} of the request")


def _add_parameters(
    target: "Mapping[str, open_inference_pb2.InferParameter]", parameters: Mapping[str, Any], what: str
) -> None:
    for name, value in parameters.items():
        if name in IGNORED or value is None:
            continue
        parameter = target[_utf8(name, f"a parameter of {what}")]
        if isinstance(value, bool):
            parameter.bool_param = value
        elif isinstance(value, str):
            parameter.string_param = _utf8(value, f"the parameter {shown(name)} of {what}")
        elif isinstance(value, float):
            parameter.double_param = value
        elif isinstance(value, int) and value in _INT64:
            parameter.int64_param = value
        elif isinstance(value, int) and value in _UINT64:
            parameter.uint64_param = value
        else:
            raise RequestError(f"the parameter {shown(name)} of {what} must be a string, a number of 64 bits, true or false")


def _add_input(
    message: open_inference_pb2.ModelInferRequest, fields: Mapping[str, Any], what: str, rest: memoryview
) -> tuple[bytes, memoryview]:
    """Adds an input. Returns its raw contents, and the binary data of the next inputs."""
    name = _utf8(required(fields, "name", str, what), f"name of {what}")
    datatype = _utf8(required(fields, "datatype", str, what), f"datatype of {what}")
    shape = [typed(size, int, f"each size in shape of {what}") for size in required(fields, "shape", list, what)]
    if any(size not in _INT64 for size in shape):
        raise RequestError(f"a size in shape of {what} has more than 64 bits: send [n] or [n, 1]")
    parameters = optional(fields, "parameters", dict, what) or {}
    added = message.inputs.add(name=name, datatype=datatype, shape=shape)
    _add_parameters(added.parameters, parameters, what)
    size = optional(parameters, BINARY_SIZE, int, what)
    if size is None:
        data = required(fields, "data", list, what)
        # The servicer refuses the data type.
        return (raw_bytes.pack(_strings(data, shape, what)) if datatype == BYTES else b""), rest
    if fields.get("data") is not None:
        raise RequestError(f"{what} has data and {BINARY_SIZE}: send one of the two")
    if not 0 <= size <= len(rest):
        raise RequestError(f"{BINARY_SIZE} of {what} is {size}, but {len(rest)} bytes follow the JSON object: send as many")
    return bytes(rest[:size]), rest[size:]


def _strings(data: list[Any], shape: list[int], what: str) -> list[bytes]:
    """The elements of data, which is a flat array or one with the shape [n, 1]."""
    flat = [element for row in data for element in row] if data and all(isinstance(row, list) for row in data) else data
    if shape and len(flat) != shape[0]:
        raise RequestError(
            f"data of {what} has {len(flat)} elements, but its shape has {shape[0]}: send as many as the shape has"
        )
    return [
        _utf8(typed(element, str, f"element {index} of data of {what}"), f"element {index} of data of {what}").encode()
        for index, element in enumerate(flat)
    ]


def _utf8(text: str, what: str) -> str:
    """The text. Raises RequestError if it has half of a surrogate pair, which JSON can escape."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise RequestError(f"{what} has half of a surrogate pair at character {error.start}: send both halves") from None
    return text
