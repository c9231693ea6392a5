"""Tensors of undertone.tfserving.v1 against TensorFlow's conversions."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from undertone_protos.tfserving.v1 import tensor_pb2 as our_tensors

TYPED_FIELDS = {
    tf.float32: "float_val",
    tf.float64: "double_val",
    tf.int32: "int_val",
    tf.int64: "int64_val",
    tf.bool: "bool_val",
    tf.bfloat16: "half_val",
    tf.float16: "half_val",
    tf.string: "string_val",
}
SAMPLE = {tf.string: [[b"a", b"\xff\x00", b""], [b"b", b"c", b"d"]], tf.bool: [[True, False, True], [False, False, True]]}


def test_all_of_our_data_types_are_tested() -> None:
    assert {dtype.as_datatype_enum for dtype in TYPED_FIELDS} | {0} == set(our_tensors.DataType.values())


def sample(dtype: tf.DType) -> np.ndarray:
    return np.array(SAMPLE.get(dtype, [[1, -2, 3], [0, 5, 100]])).astype(dtype.as_numpy_dtype)


def bits(array: np.ndarray) -> list[int]:
    return array.view(np.uint16).ravel().tolist()


@pytest.mark.parametrize("dtype", TYPED_FIELDS, ids=lambda dtype: dtype.name)
def test_our_type_reads_a_tensor_of_tensorflow(dtype: tf.DType) -> None:
    array = sample(dtype)
    received = our_tensors.Tensor.FromString(tf.make_tensor_proto(array, dtype=dtype).SerializeToString())
    assert received.dtype == dtype.as_datatype_enum
    assert [dim.size for dim in received.tensor_shape.dim] == [2, 3]
    if received.tensor_content:
        assert received.tensor_content == array.tobytes()
    else:
        assert list(getattr(received, TYPED_FIELDS[dtype])) == array.ravel().tolist()


@pytest.mark.parametrize("typed", [False, True], ids=["content", "typed field"])
@pytest.mark.parametrize("dtype", TYPED_FIELDS, ids=lambda dtype: dtype.name)
def test_tensorflow_reads_our_tensor(dtype: tf.DType, typed: bool) -> None:
    array = sample(dtype)
    sent = our_tensors.Tensor(dtype=dtype.as_datatype_enum)
    for size in array.shape:
        sent.tensor_shape.dim.add(size=size)
    field = TYPED_FIELDS[dtype]
    if not typed and dtype is not tf.string:
        sent.tensor_content = array.tobytes()
    else:
        getattr(sent, field).extend(bits(array) if field == "half_val" else array.ravel().tolist())
    received = tf.make_ndarray(tensor_pb2.TensorProto.FromString(sent.SerializeToString()))
    assert received.dtype == array.dtype
    assert received.tolist() == array.tolist()
