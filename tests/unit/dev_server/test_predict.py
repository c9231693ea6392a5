"""Requests against a signature, and the encoding of tensors."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import predict_pb2
from undertone_dev_server import predict
from undertone_dev_server.errors import InvalidCallError
from undertone_dev_server.servable import Array
from undertone_dev_server.testing import FakeServable, echo_signature

BFLOAT16 = tf.bfloat16.as_numpy_dtype

DTYPES = [
    *("float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("bool", "float16", BFLOAT16, "complex64"),
]


def request_of(*aliases: str) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    for alias in aliases:
        request.inputs[alias].CopyFrom(tf.make_tensor_proto([1, 2], dtype=tf.int32))
    return request


def test_response_names_the_signature(tmp_path: Path) -> None:
    response = predict.run(FakeServable(tmp_path), request_of("x"), timeout=None)
    assert response.model_spec.signature_name == "serving_default"
    assert tf.make_ndarray(response.outputs["y"]).tolist() == [1, 2]


def test_missing_input_has_its_default() -> None:
    signature = echo_signature()
    signature.defaults["x"].CopyFrom(tf.make_tensor_proto([9], dtype=tf.int32))
    assert predict.prepare({"serving_default": signature}, request_of()).feeds["x:0"].tolist() == [9]
    assert predict.prepare({"serving_default": signature}, request_of("x")).feeds["x:0"].tolist() == [1, 2]


def test_error_names_the_missing_input_without_a_default() -> None:
    signature = echo_signature()
    signature.inputs["z"].CopyFrom(signature.inputs["x"])
    signature.defaults["z"].CopyFrom(tf.make_tensor_proto([9], dtype=tf.int32))
    with pytest.raises(InvalidCallError, match=r"Signature input alias: x\(feed name: x:0\) not found in request"):
        predict.prepare({"serving_default": signature}, request_of("z"))


def test_input_with_a_wrong_name_is_refused() -> None:
    with pytest.raises(InvalidCallError, match="Signature input alias: x"):
        predict.prepare({"serving_default": echo_signature()}, request_of("z"))


def test_signature_without_rank_accepts_any_rank() -> None:
    signature = echo_signature()
    signature.inputs["x"].tensor_shape.Clear()
    signature.inputs["x"].tensor_shape.unknown_rank = True
    request = request_of()
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.zeros((1, 2, 3), np.int32)))
    assert predict.prepare({"serving_default": signature}, request).feeds["x:0"].shape == (1, 2, 3)


def test_fixed_size_is_enforced() -> None:
    signature = echo_signature()
    signature.inputs["x"].tensor_shape.dim[0].size = 3
    with pytest.raises(InvalidCallError, match=r"input x has shape \[2\]; the signature takes \[3\]"):
        predict.prepare({"serving_default": signature}, request_of("x"))


def test_request_without_filter_returns_every_output() -> None:
    signature = echo_signature()
    signature.outputs["also"].CopyFrom(signature.outputs["y"])
    assert predict.prepare({"serving_default": signature}, request_of("x")).fetches == {"also": "y:0", "y": "y:0"}


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
    encoded = predict.encode(array)
    assert identical(predict.decode("x", encoded), array)
    assert identical(tf.make_ndarray(encoded), array)


def test_strings_are_preserved() -> None:
    array = np.array([[b"a", b"\xff\x00"]], dtype=object)
    assert predict.decode("x", predict.encode(array)).tolist() == array.tolist()


def test_floats_are_sent_in_the_typed_field() -> None:
    encoded = predict.encode(np.array([[1.5, 2.5]], np.float32))
    assert list(encoded.float_val) == [1.5, 2.5]
    assert encoded.tensor_content == b""
    assert [dim.size for dim in encoded.tensor_shape.dim] == [1, 2]


def test_views_are_encoded_in_row_major_order() -> None:
    assert list(predict.encode(np.arange(6, dtype=np.int32).reshape(2, 3).T).int_val) == [0, 3, 1, 4, 2, 5]


@pytest.mark.parametrize(("values", "expected"), [([], [0, 0, 0]), ([7], [7, 7, 7]), ([1, 2], [1, 2, 2])])
def test_short_typed_fields_are_extended_as_in_tensorflow(values: list[int], expected: list[int]) -> None:
    proto = tensor_pb2.TensorProto(dtype=types_pb2.DT_INT32, int_val=values)
    proto.tensor_shape.dim.add(size=3)
    assert predict.decode("x", proto).tolist() == expected


def invalid_tensor(shape: list[int], **fields: object) -> tensor_pb2.TensorProto:
    proto = tensor_pb2.TensorProto(**{"dtype": types_pb2.DT_INT32, **fields})
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    return proto


@pytest.mark.parametrize(
    "proto",
    [
        invalid_tensor([-1], int_val=[1]),
        invalid_tensor([2], int_val=[1, 2, 3]),
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
        predict.decode("input_ids", proto)
