"""Raw contents of tensors with the data type BYTES.

Each element is its length in bytes, as 4 bytes in little-endian order, and its bytes.
"""

import struct
from collections.abc import Iterable
from typing import Final

from undertone_sidecar.errors import RequestError

_PREFIX: Final = struct.Struct("<I")
_FORMAT: Final = "send each element as its length in 4 bytes, little-endian, and its bytes"


def pack(elements: Iterable[bytes]) -> bytes:
    """The raw contents of these elements."""
    return b"".join(part for element in elements for part in (_PREFIX.pack(len(element)), element))


def unpack(data: bytes, count: int, name: str) -> list[bytes]:
    """The elements in raw contents.

    Args:
        data: Raw contents.
        count: Number of elements by the tensor's shape.
        name: Name of the tensor, for messages.

    Raises:
        RequestError: The contents do not have exactly `count` elements.
    """
    elements = []
    position = 0
    for index in range(count):
        start = position + _PREFIX.size
        if start > len(data):
            raise RequestError(
                f"the raw contents of the input {name!r} end after {index} elements, but its shape has {count}: {_FORMAT}"
            )
        (length,) = _PREFIX.unpack_from(data, position)
        position = start + length
        if position > len(data):
            raise RequestError(
                f"element {index} of the input {name!r} has {length} bytes by its prefix, "
                f"but {len(data) - start} bytes follow: {_FORMAT}"
            )
        elements.append(data[start:position])
    if position < len(data):
        raise RequestError(
            f"the raw contents of the input {name!r} have {len(data)} bytes, but its {count} elements end after {position}: "
            "send as many elements as the shape has"
        )
    return elements
