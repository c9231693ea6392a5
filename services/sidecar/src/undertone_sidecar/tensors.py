"""numpy arrays to TF Serving's tensors and back."""

import math
from typing import Final

import numpy as np
import numpy.typing as npt
from undertone_protos.tfserving.v1 import tensor_pb2

_NAMES: Final[dict[int, str]] = {
    tensor_pb2.DATA_TYPE_FLOAT: "float32",
    tensor_pb2.DATA_TYPE_DOUBLE: "float64",
    tensor_pb2.DATA_TYPE_INT32: "int32",
    tensor_pb2.DATA_TYPE_INT64: "int64",
    tensor_pb2.DATA_TYPE_STRING: "string",
    tensor_pb2.DATA_TYPE_BOOL: "bool",
    tensor_pb2.DATA_TYPE_BFLOAT16: "bfloat16",
    tensor_pb2.DATA_TYPE_HALF: "float16",
}


def dtype_name(number: int) -> str:
    """TensorFlow's name of a data type: "float32"; the number itself where we do not know it."""
    return _NAMES.get(number, f"dtype {number}")


def pack_int32(array: npt.NDArray[np.int32], into: tensor_pb2.Tensor) -> None:
    """Fills an empty tensor."""
    into.dtype = tensor_pb2.DATA_TYPE_INT32
    for size in array.shape:
        into.tensor_shape.dim.add(size=size)
    into.tensor_content = array.astype("<i4", copy=False).tobytes()


def unpack_float32(tensor: tensor_pb2.Tensor) -> npt.NDArray[np.float32]:
    """Raises ValueError if the tensor is not of float32 or has not as many elements as its shape says."""
    if tensor.dtype != tensor_pb2.DATA_TYPE_FLOAT:
        raise ValueError(f"is of {dtype_name(tensor.dtype)}, expected float32")
    shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
    size = math.prod(shape)
    if tensor.tensor_content:
        values = np.frombuffer(tensor.tensor_content, dtype="<f4")
    else:
        values = np.array(tensor.float_val, dtype=np.float32)
        # TensorFlow leaves out the end of a tensor that repeats its last value (tensor.proto).
        if 0 < len(values) < size:
            values = np.pad(values, (0, size - len(values)), mode="edge")
    if len(values) != size:
        raise ValueError(f"has {len(values)} elements, but its shape is {list(shape)}")
    return values.reshape(shape)
