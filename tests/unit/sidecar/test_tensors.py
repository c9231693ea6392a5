import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_protos.tfserving.v1 import tensor_pb2
from undertone_sidecar.shapes import Lengths
from undertone_sidecar.tensors import pack_int32, unpack_float32


def tensor(*shape: int, **fields: object) -> tensor_pb2.Tensor:
    built = tensor_pb2.Tensor(dtype=tensor_pb2.DATA_TYPE_FLOAT, **fields)  # type: ignore[arg-type]
    for size in shape:
        built.tensor_shape.dim.add(size=size)
    return built


def test_integers_travel_as_little_endian_bytes() -> None:
    packed = tensor_pb2.Tensor()
    pack_int32(np.array([[1, 2], [3, 256]], np.int32), packed)
    assert packed.tensor_content == b"\1\0\0\0\2\0\0\0\3\0\0\0\0\1\0\0"
    assert [dim.size for dim in packed.tensor_shape.dim] == [2, 2]
    assert packed.dtype == tensor_pb2.DATA_TYPE_INT32


def test_floats_are_read_from_bytes_and_from_fields_and_repeat_their_end() -> None:
    expected = [[1.0, 2.0], [2.0, 2.0]]
    content = np.array(expected, "<f4").tobytes()
    assert unpack_float32(tensor(2, 2, tensor_content=content)).tolist() == expected
    assert unpack_float32(tensor(2, 2, float_val=[1, 2])).tolist() == expected


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (tensor_pb2.Tensor(dtype=tensor_pb2.DATA_TYPE_INT64), "is of int64, expected float32"),
        (tensor(2, 2, float_val=[1] * 5), "has 5 elements, but its shape is"),
        (tensor(2, 2), "has 0 elements"),
    ],
)
def test_other_tensors_are_refused(broken: tensor_pb2.Tensor, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        unpack_float32(broken)


@given(st.integers(8, 2000))
@settings(max_examples=100, deadline=None)
def test_lengths_hold_every_sequence_and_waste_little(max_tokens: int) -> None:
    lengths = Lengths.up_to(max_tokens)
    assert lengths.steps[-1] == max_tokens
    assert all(earlier < later for earlier, later in pairwise(lengths.steps))
    for tokens in range(1, max_tokens + 1):
        fit = lengths.fit(tokens)
        assert tokens <= fit <= max_tokens
        assert tokens <= 64 or fit <= math.ceil(tokens * 1.5)
    assert sorted((*lengths.landmarks, *lengths.others)) == list(lengths.steps)
    assert lengths.landmarks[-1] == max_tokens
