"""Encoding and decoding of tensors."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tensorflow.core.framework import tensor_pb2, types_pb2
from undertone_dev_server import tensors
from undertone_dev_server.errors import InvalidCallError
from undertone_dev_server.servable import Array

BFLOAT16 = tf.bfloat16.as_numpy_dtype

DTYPES = [
    *("float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("bool", "float16", BFLOAT16, "complex64"),
]


def identical(left: Array, right: Array) -> bool:
    return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()


@given(data=st.data())
@settings(max_examples=25, deadline=None)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_encoded_arrays_decode_to_the_same(dtype: str, data: st.DataObject) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
    raw = data.draw(hnp.arrays(np.uint8, (*shape, np.dtype(dtype).itemsize)))
    array = (raw % 2 == 1)[..., 0] if dtype == "bool" else np.ascontiguousarray(raw).view(dtype).reshape(shape)
    if dtype in ("float32", "float64", "complex64"):
        with np.errstate(invalid="ignore"):  # Python floats do not preserve the bits of a NaN
            array = np.where(np.isnan(array), np.zeros_like(array), array)
    encoded = tensors.encode(array)
    assert identical(tensors.decode("x", encoded), array)
    assert identical(tf.make_ndarray(encoded), array)


def test_strings_are_preserved() -> None:
    array = np.array([[b"a", b"\xff\x00"]], dtype=object)
    assert tensors.decode("x", tensors.encode(array)).tolist() == array.tolist()


def test_floats_are_sent_in_the_typed_field() -> None:
    encoded = tensors.encode(np.array([[1.5, 2.5]], np.float32))
    assert list(encoded.float_val) == [1.5, 2.5]
    assert encoded.tensor_content == b""
    assert [dim.size for dim in encoded.tensor_shape.dim] == [1, 2]


def test_views_are_encoded_in_row_major_order() -> None:
    assert list(tensors.encode(np.arange(6, dtype=np.int32).reshape(2, 3).T).int_val) == [0, 3, 1, 4, 2, 5]


@pytest.mark.parametrize(
    ("values", "expected"), [([], [0, 0, 0]), ([7], [7, 7, 7]), ([1, 2], [1, 2, 2]), ([1, 2, 3, 4], [1, 2, 3])]
)
def test_typed_fields_are_extended_and_cut_as_in_tensorflow(values: list[int], expected: list[int]) -> None:
    proto = tensor_pb2.TensorProto(dtype=types_pb2.DT_INT32, int_val=values)
    proto.tensor_shape.dim.add(size=3)
    assert tensors.decode("x", proto).tolist() == expected


def test_values_outside_a_small_dtype_wrap_as_in_tensorflow() -> None:
    proto = tensor_pb2.TensorProto(dtype=types_pb2.DT_INT8, int_val=[300, -129])
    proto.tensor_shape.dim.add(size=2)
    assert tensors.decode("x", proto).tolist() == [44, 127]


def test_tensor_without_a_shape_is_a_scalar() -> None:
    decoded = tensors.decode("x", tensor_pb2.TensorProto(dtype=types_pb2.DT_INT32, int_val=[7, 8]))
    assert (decoded.shape, decoded.item()) == ((), 7)


def invalid_tensor(shape: list[int], **fields: object) -> tensor_pb2.TensorProto:
    proto = tensor_pb2.TensorProto(**{"dtype": types_pb2.DT_INT32, **fields})
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    return proto


@pytest.mark.parametrize(
    "proto",
    [
        invalid_tensor([-1], int_val=[1]),
        invalid_tensor([2], tensor_content=b"123"),
        invalid_tensor([2], tensor_content=b"1234"),
        invalid_tensor([2**62, 2**62], int_val=[1]),
        invalid_tensor([1], dtype=types_pb2.DT_INVALID, int_val=[1]),
        invalid_tensor([1], dtype=999, int_val=[1]),
        invalid_tensor([1], dtype=types_pb2.DT_RESOURCE),
        tensor_pb2.TensorProto(dtype=types_pb2.DT_INT32, tensor_shape={"unknown_rank": True}),
    ],
    ids=lambda proto: str(proto).replace("\n", " ")[:60],
)
def test_invalid_tensor_is_refused(proto: tensor_pb2.TensorProto) -> None:
    with pytest.raises(InvalidCallError, match=r"^tensor parsing error: input_ids"):
        tensors.decode("input_ids", proto)
