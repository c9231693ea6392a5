"""The stored form of an answer: a few bytes with a version and a checksum."""

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

_CHECKSUM: Final = struct.Struct("<I")
_FLOAT: Final = np.dtype("<f4")


def encode(key: bytes, answer: Classified) -> bytes:
    """The stored form of the answer with this key: 16 bytes, and 4 for each label."""
    header = _HEADER.pack(FORMAT, answer.truncated, _bits(answer.flags), answer.tokens, answer.chunks)
    body = header + answer.probabilities.astype(_FLOAT, copy=False).tobytes()
    return body + _CHECKSUM.pack(crc32(body, crc32(key)))


def decode(key: bytes, value: bytes, labels: int) -> Classified | None:
    """The answer with this key. None if the value is damaged, or belongs to another key.

    The probabilities are read-only.
    """
    end = _HEADER.size + labels * _FLOAT.itemsize
    if len(value) != end + _CHECKSUM.size:
        return None
    if _CHECKSUM.unpack_from(value, end)[0] != crc32(memoryview(value)[:end], crc32(key)):
        return None
    version, truncated, bits, tokens, chunks = _HEADER.unpack_from(value)
    if version != FORMAT:
        return None
    probabilities = np.frombuffer(value, _FLOAT, labels, _HEADER.size)
    return Classified(probabilities, tokens, truncated=bool(truncated), chunks=chunks, flags=_flags(bits))


def _bits(flags: Flags) -> int:
    return sum(1 << flag for flag in flags)


@lru_cache(maxsize=256)
def _flags(bits: int) -> Flags:
    return tuple(flag for flag in classifier_pb2.Flag.values() if bits >> flag & 1)
