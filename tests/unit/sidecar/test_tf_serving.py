import numpy as np
import pytest
from undertone_protos.tfserving.v1 import tensor_pb2
from undertone_sidecar.tf_serving import pack_int32, unpack_float32


def tensor(*shape: int, **fields: object) -> tensor_pb2.Tensor:
    result = tensor_pb2.Tensor(dtype=tensor_pb2.DATA_TYPE_FLOAT, **fields)  # type: ignore[arg-type]
    for size in shape:
        result.tensor_shape.dim.add(size=size)
    return result


def test_integers_are_packed_as_little_endian_bytes() -> None:
    packed = tensor_pb2.Tensor()
    pack_int32(np.array([[1, 2], [3, 256]], np.int32), packed)
    assert packed.tensor_content == b"\1\0\0\0\2\0\0\0\3\0\0\0\0\1\0\0"
    assert [dim.size for dim in packed.tensor_shape.dim] == [2, 2]
    assert packed.dtype == tensor_pb2.DATA_TYPE_INT32


def test_floats_are_unpacked_from_bytes_or_fields_and_the_last_value_repeats() -> None:
    expected = [[1.0, 2.0], [2.0, 2.0]]
    content = np.array(expected, "<f4").tobytes()
    assert unpack_float32(tensor(2, 2, tensor_content=content)).tolist() == expected
    assert unpack_float32(tensor(2, 2, float_val=[1, 2])).tolist() == expected


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (tensor_pb2.Tensor(dtype=tensor_pb2.DATA_TYPE_INT64), "has type int64, expected float32"),
        (tensor(2, 2, float_val=[1] * 5), "has 5 elements, but its shape is"),
        (tensor(2, 2), "has 0 elements"),
    ],
)
def test_other_tensors_are_rejected(broken: tensor_pb2.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        unpack_float32(broken)
