"""TensorProto to array and back, as TF Serving does (`Tensor::FromProto`, `AsProtoField`)."""

import math
from typing import Final

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

from undertone_dev_server.errors import InvalidCallError
from undertone_dev_server.servable import Array

MAX_ELEMENTS: Final = 2**63 - 1

# The typed field of TensorProto for each dtype. Half precision is sent as bit patterns.
_FIELDS: Final = {
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


def decode(alias: str, proto: tensor_pb2.TensorProto) -> Array:
    """The array of an input tensor. The dtype is the one of the tensor: no value is converted.

    A typed field may have fewer values than the shape: the last value repeats, and an empty field
    means zeros. TensorFlow ignores additional values. A tensor without a shape is a scalar.

    Raises InvalidCallError if the shape is invalid or does not match `tensor_content`, or for a
    dtype without values.
    """
    shape = [dim.size for dim in proto.tensor_shape.dim]
    if proto.tensor_shape.unknown_rank or any(size < 0 for size in shape) or math.prod(shape) > MAX_ELEMENTS:
        raise InvalidCallError(f"tensor parsing error: {alias} (invalid shape {shape})")
    try:
        return _array(proto, shape)
    except (ValueError, TypeError, KeyError, MemoryError) as error:
        dtype = types_pb2.DataType.Name(proto.dtype) if proto.dtype in types_pb2.DataType.values() else proto.dtype
        raise InvalidCallError(f"tensor parsing error: {alias} (dtype {dtype}, shape {shape}: {error})") from error


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


def _array(proto: tensor_pb2.TensorProto, shape: list[int]) -> Array:
    if proto.dtype == types_pb2.DT_INVALID:
        raise ValueError("a tensor needs a dtype")
    field = _FIELDS.get(proto.dtype)
    if proto.tensor_content or field is None:
        content: Array = tf.make_ndarray(proto)
        return content
    count = math.prod(shape)
    values = list(getattr(proto, field)[:count])
    dtype = tf.as_dtype(proto.dtype).as_numpy_dtype
    if not values:
        return np.full(shape, b"", object) if proto.dtype == types_pb2.DT_STRING else np.zeros(shape, dtype)
    array: Array
    if proto.dtype == types_pb2.DT_STRING:
        array = np.array(values, object)
    elif field == "half_val":
        array = np.array(values, np.uint32).astype(np.uint16).view(dtype)
    elif field == "int_val":
        array = np.array(values, np.int32).astype(dtype)  # wraps, as in TensorFlow
    else:
        array = np.array(values, dtype)
    if len(array) < count:
        array = np.concatenate([array, np.full(count - len(array), array[-1], array.dtype)])
    return array.reshape(shape)
