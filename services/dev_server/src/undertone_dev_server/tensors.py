"""TensorProto to numpy and back, as TF Serving writes it."""

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

from undertone_dev_server.errors import InvalidCallError
from undertone_dev_server.servable import Array

# The typed field that TF Serving fills for each dtype; half precision travels as bit patterns.
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


def decode(alias: str, proto: tensor_pb2.TensorProto) -> Array:
    """The tensor of an input. Typed fields may be shorter than the shape: the last value repeats, none at all means zeros.

    Raises InvalidCallError if the shape is not one or the content does not fill it.
    """
    shape = [dim.size for dim in proto.tensor_shape.dim]
    if proto.tensor_shape.unknown_rank or any(size < 0 for size in shape):
        raise InvalidCallError(f"tensor parsing error: {alias} (its shape {shape} is not that of a tensor)")
    try:
        array: Array = tf.make_ndarray(proto)
    except (ValueError, TypeError, KeyError, MemoryError) as error:
        dtype = types_pb2.DataType.Name(proto.dtype) if proto.dtype in types_pb2.DataType.values() else proto.dtype
        raise InvalidCallError(f"tensor parsing error: {alias} (dtype {dtype}, shape {shape}: {error})") from error
    return array


def encode(array: Array) -> tensor_pb2.TensorProto:
    """The tensor of an output, in the typed field of its dtype, as TF Serving answers by default."""
    dtype = tf.as_dtype(array.dtype).as_datatype_enum
    field = _FIELDS.get(dtype)
    if field is None:
        return tf.make_tensor_proto(array)
    proto = tensor_pb2.TensorProto(dtype=dtype)
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    flat = array.view(np.uint16) if field == "half_val" else array
    getattr(proto, field).extend(flat.ravel().tolist())
    return proto
