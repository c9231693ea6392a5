import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from undertone_sidecar.errors import RequestError
from undertone_sidecar.open_inference.raw_bytes import pack, unpack

ELEMENTS = st.lists(st.binary(max_size=300), max_size=20)


@given(ELEMENTS)
def test_packed_elements_are_unpacked(elements: list[bytes]) -> None:
    assert unpack(pack(elements), len(elements), "text") == elements


@given(ELEMENTS.filter(bool), st.data())
def test_a_truncated_tensor_is_refused(elements: list[bytes], data: st.DataObject) -> None:
    packed = pack(elements)
    stop = data.draw(st.integers(0, len(packed) - 1))
    with pytest.raises(RequestError, match="4 bytes, little-endian"):
        unpack(packed[:stop], len(elements), "text")


@given(ELEMENTS, st.binary(min_size=1, max_size=20))
def test_bytes_after_the_last_element_are_refused(elements: list[bytes], rest: bytes) -> None:
    with pytest.raises(RequestError, match=f"{len(elements)} elements end after"):
        unpack(pack(elements) + rest, len(elements), "text")


@given(st.binary(max_size=60), st.integers(0, 8))
def test_any_bytes_are_refused_or_unpacked(data: bytes, count: int) -> None:
    try:
        elements = unpack(data, count, "text")
    except RequestError:
        return
    assert len(elements) == count
    assert pack(elements) == data


def test_the_message_names_the_element_and_its_length() -> None:
    with pytest.raises(
        RequestError, match="element 1 of the input 'text' has 4294967295 bytes by its prefix, but 3 bytes follow"
    ):
        unpack(pack([b"rain"]) + struct.pack("<I", 2**32 - 1) + b"abc", 2, "text")
