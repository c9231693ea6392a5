import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tensorflow.core.framework import tensor_pb2, types_pb2
from undertone_dev_server import tensors
from undertone_dev_server.errors import InvalidCallError

BFLOAT16 = tf.bfloat16.as_numpy_dtype

DTYPES = [
    "float32",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "bool",
    "float16",
    BFLOAT16,
    "complex64",
]


def same(left: np.ndarray, right: np.ndarray) -> bool:
    return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()


@given(data=st.data())
@settings(max_examples=25, deadline=None)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_what_is_encoded_decodes_to_the_same(dtype: str, data: st.DataObject) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
    raw = data.draw(hnp.arrays(np.uint8, (*shape, np.dtype(dtype).itemsize)))
    array = (raw % 2 == 1)[..., 0] if dtype == "bool" else np.ascontiguousarray(raw).view(dtype).reshape(shape)
    if dtype in ("float32", "float64", "complex64"):
        with np.errstate(invalid="ignore"):  # which NaN it was does not survive Python's floats
            array = np.where(np.isnan(array), np.zeros_like(array), array)
    encoded = tensors.encode(array)
    assert same(tensors.decode("x", encoded), array)
    assert same(tf.make_ndarray(encoded), array), "and so it does for TensorFlow"


def test_strings() -> None:
    array = np.array([[b"a", b"\xff\x00"]], dtype=object)
    assert tensors.decode("x", tensors.encode(array)).tolist() == array.tolist()


def test_floats_travel_in_the_typed_field_as_from_tf_serving() -> None:
    encoded = tensors.encode(np.array([[1.5, 2.5]], np.float32))
    assert list(encoded.float_val) == [1.5, 2.5]
    assert encoded.tensor_content == b""
    assert [dim.size for dim in encoded.tensor_shape.dim] == [1, 2]


def test_a_view_is_encoded_in_row_major_order() -> None:
    assert list(tensors.encode(np.arange(6, dtype=np.int32).reshape(2, 3).T).int_val) == [0, 3, 1, 4, 2, 5]


@pytest.mark.parametrize(("given_values", "meant"), [([], [0, 0, 0]), ([7], [7, 7, 7]), ([1, 2], [1, 2, 2])])
def test_short_typed_fields_are_filled_up_as_tensorflow_does(given_values: list[int], meant: list[int]) -> None:
    proto = tensor_pb2.TensorProto(dtype=types_pb2.DT_INT32, int_val=given_values)
    proto.tensor_shape.dim.add(size=3)
    assert tensors.decode("x", proto).tolist() == meant


def broken(shape: list[int], **fields: object) -> tensor_pb2.TensorProto:
    proto = tensor_pb2.TensorProto(**{"dtype": types_pb2.DT_INT32, **fields})
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    return proto


@pytest.mark.parametrize(
    "proto",
    [
        broken([-1], int_val=[1]),
        broken([2], int_val=[1, 2, 3]),
        broken([2], tensor_content=b"123"),
        broken([2], tensor_content=b"1234"),
        broken([2**62, 2**62], int_val=[1]),
        broken([1], dtype=types_pb2.DT_INVALID, int_val=[1]),
        broken([1], dtype=999, int_val=[1]),
        broken([1], dtype=types_pb2.DT_RESOURCE),
        tensor_pb2.TensorProto(dtype=types_pb2.DT_INT32, tensor_shape={"unknown_rank": True}),
    ],
    ids=lambda proto: str(proto).replace("\n", " ")[:60],
)
def test_a_tensor_that_is_none_is_refused(proto: tensor_pb2.TensorProto) -> None:
    with pytest.raises(InvalidCallError, match=r"^tensor parsing error: input_ids"):
        tensors.decode("input_ids", proto)
