"""The stored form of an answer: a few bytes with a version and a checksum.

Numbers are little-endian, as those of all CPUs that TensorFlow Serving runs on.
"""

import struct
from functools import lru_cache
from typing import Final
from zlib import crc32

import numpy as np
from undertone_protos.v1 import classifier_pb2

from undertone_sidecar.answers import Classified
from undertone_sidecar.flags import Flags

FORMAT: Final = 1
"""Version of the stored form. Values of another version are misses."""

_HEADER: Final = struct.Struct("<BBHII")
"""Format, whether the text was truncated, flags as bits, tokens, chunks."""

_FRAME_BYTES: Final = _HEADER.size + 4
_VALID: Final = 0x2144DF1C
"""CRC-32 of any bytes that end with their own CRC-32."""


def encode(key: bytes, answer: Classified) -> bytes:
    """The stored form of the answer with this key: 16 bytes, and 4 for each label."""
    bits = _bits(answer.flags) if answer.flags else 0
    body = _HEADER.pack(FORMAT, answer.truncated, bits, answer.tokens, answer.chunks) + answer.probabilities.tobytes()
    return body + crc32(body, crc32(key)).to_bytes(4, "little")


def decode(key: bytes, value: bytes, labels: int) -> Classified | None:
    """The answer with this key. None if the value is damaged, or belongs to another key.

    The probabilities are read-only.
    """
    if len(value) != _FRAME_BYTES + 4 * labels or crc32(value, crc32(key)) != _VALID:
        return None
    version, truncated, bits, tokens, chunks = _HEADER.unpack_from(value)
    if version != FORMAT:
        return None
    probabilities = np.frombuffer(value, np.float32, labels, _HEADER.size)
    return Classified(probabilities, tokens, truncated=truncated != 0, chunks=chunks, flags=_flags(bits) if bits else ())


def _bits(flags: Flags) -> int:
    return sum(1 << flag for flag in flags)


@lru_cache(maxsize=256)
def _flags(bits: int) -> Flags:
    return tuple(flag for flag in classifier_pb2.Flag.values() if bits >> flag & 1)
