"""Predict: validates a request against a signature, runs the graph, and builds the response."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2, types_pb2
from tensorflow_serving.apis import predict_pb2

from undertone_dev_server.errors import InvalidCallError, UnknownSignatureError
from undertone_dev_server.servable import Array, Servable, SignatureDef

DEFAULT_SIGNATURE = "serving_default"

# The typed field of TensorProto that TF Serving fills for each dtype. Half precision is sent as bit
# patterns.
_FIELDS = {
    types_pb2.DT_FLOAT: "float_val",
    types_pb2.DT_DOUBLE: "double_val",
    types_pb2.DT_INT8: "int_val",
    types_pb2.DT_INT16: "int_val",
    types_pb2.DT_INT32: "int_val",
    types_pb2.DT_UINT8: "int_val",
    types_pb2.DT_UINT16: "int_val",
    types_pb2.DT_INT64: "int64_val",
    types_pb2.DT_UINT32: "uint32_val",
    types_pb2.DT_UINT64: "uint64_val",
    types_pb2.DT_BOOL: "bool_val",
    types_pb2.DT_STRING: "string_val",
    types_pb2.DT_HALF: "half_val",
    types_pb2.DT_BFLOAT16: "half_val",
}


@dataclass(frozen=True, slots=True)
class PreparedCall:
    """A valid request: `feeds` maps tensor names to arrays, `fetches` maps output aliases to tensor
    names.
    """

    signature_name: str
    feeds: Mapping[str, Array]
    fetches: Mapping[str, str]


def run(servable: Servable, request: predict_pb2.PredictRequest, timeout: float | None) -> predict_pb2.PredictResponse:
    """Answers a request. The caller adds the model's name and version to the response.

    `timeout` is in seconds; None means no limit. Raises the errors of `prepare`, and GraphError.
    """
    call = prepare(servable.signatures, request)
    outputs = servable.run(list(call.fetches.values()), call.feeds, timeout)
    response = predict_pb2.PredictResponse()
    response.model_spec.signature_name = call.signature_name
    for alias, output in zip(call.fetches, outputs, strict=True):
        response.outputs[alias].CopyFrom(encode(np.asarray(output)))
    return response


def prepare(signatures: Mapping[str, SignatureDef], request: predict_pb2.PredictRequest) -> PreparedCall:
    """Validates a request against the signatures of the model.

    Raises UnknownSignatureError. Raises InvalidCallError for missing, additional or malformed
    inputs, wrong dtypes and shapes, and unknown or repeated outputs.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    if name not in signatures:
        raise UnknownSignatureError(f'Serving signature key "{name}" not found.')
    signature = signatures[name]
    return PreparedCall(name, _feeds(signature, request), _fetches(signature, request.output_filter))


def decode(alias: str, proto: tensor_pb2.TensorProto) -> Array:
    """The array of an input tensor.

    A typed field may have fewer values than the shape: the last value repeats, and an empty field
    means zeros. Raises InvalidCallError if the shape is invalid or does not match the content.
    """
    shape = [dim.size for dim in proto.tensor_shape.dim]
    if proto.tensor_shape.unknown_rank or any(size < 0 for size in shape):
        raise InvalidCallError(f"tensor parsing error: {alias} (invalid shape {shape})")
    try:
        array: Array = tf.make_ndarray(proto)
    except (ValueError, TypeError, KeyError, MemoryError) as error:
        dtype = types_pb2.DataType.Name(proto.dtype) if proto.dtype in types_pb2.DataType.values() else proto.dtype
        raise InvalidCallError(f"tensor parsing error: {alias} (dtype {dtype}, shape {shape}: {error})") from error
    return array


def encode(array: Array) -> tensor_pb2.TensorProto:
    """The tensor of an output, in the typed field of its dtype. This is TF Serving's default
    encoding.
    """
    dtype = tf.as_dtype(array.dtype).as_datatype_enum
    field = _FIELDS.get(dtype)
    if field is None:
        return tf.make_tensor_proto(array)
    proto = tensor_pb2.TensorProto(dtype=dtype)
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    values = array.view(np.uint16) if field == "half_val" else array
    getattr(proto, field).extend(values.ravel().tolist())
    return proto


def _feeds(signature: SignatureDef, request: predict_pb2.PredictRequest) -> dict[str, Array]:
    sent, required = set(request.inputs), set(signature.inputs)
    if len(sent) > len(required) or (len(sent) < len(required) and not signature.defaults):
        raise InvalidCallError(
            f"input size does not match signature: {len(sent)}!={len(required)} len({_set(sent)}) != len({_set(required)}). "
            f"Sent extra: {_set(sent - required)}. Missing but required: {_set(required - sent)}."
        )
    feeds = {}
    for position, alias in enumerate(sorted(required)):
        info = signature.inputs[alias]
        proto = request.inputs[alias] if alias in sent else signature.defaults.get(alias)
        if proto is None:
            raise InvalidCallError(
                f"Signature input alias: {alias}(feed name: {info.name}) not found in request and no default value provided. "
                f"Inputs expected to be in the request {_set(sent)}, or default input alias set: {_set(signature.defaults)}"
            )
        # A Session in Python would cast the values silently. TF Serving refuses them.
        if proto.dtype != info.dtype:
            raise InvalidCallError(
                f"Expects arg[{position}] to be {_dtype(info.dtype)} but {_dtype(proto.dtype)} is provided ({alias})"
            )
        array = decode(alias, proto)
        if not _matches(array.shape, info.tensor_shape):
            raise InvalidCallError(
                f"input {alias} has shape {list(array.shape)}; the signature takes {_shape(info.tensor_shape)}"
            )
        feeds[info.name] = array
    if sent - required:
        raise InvalidCallError(
            f"Inputs contains invalid name. Used request inputs: {_set(sent & required)}, request input: {_set(sent)}"
        )
    return feeds


def _fetches(signature: SignatureDef, output_filter: Iterable[str]) -> dict[str, str]:
    fetches: dict[str, str] = {}
    for alias in output_filter or sorted(signature.outputs):
        if alias not in signature.outputs:
            raise InvalidCallError(
                f"output tensor alias not found in signature: {alias} "
                f"Outputs expected to be in the set {_set(signature.outputs)}."
            )
        if alias in fetches:
            raise InvalidCallError(f"duplicate output tensor alias: {alias}")
        fetches[alias] = signature.outputs[alias].name
    return fetches


def _matches(shape: tuple[int, ...], expected: tensor_shape_pb2.TensorShapeProto) -> bool:
    if expected.unknown_rank:
        return True
    sizes = [dim.size for dim in expected.dim]
    return len(shape) == len(sizes) and all(want in (-1, size) for size, want in zip(shape, sizes, strict=True))


def _shape(shape: tensor_shape_pb2.TensorShapeProto) -> str:
    return "[" + ", ".join("any" if dim.size == -1 else str(dim.size) for dim in shape.dim) + "]"


def _dtype(number: int) -> str:
    if number not in types_pb2.DataType.values():
        return str(number)
    name: str = types_pb2.DataType.Name(number)
    return name.removeprefix("DT_").lower()


def _set(names: Iterable[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"
