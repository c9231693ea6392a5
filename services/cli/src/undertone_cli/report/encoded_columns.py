"""The data of the charts, as JSON with columns in base64 that the script of the page decodes."""

import json
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

SCALE = 10_000
"""A probability p is the unsigned integer p * SCALE of 16 bits, a valence v is (v + 1) * SCALE."""
SMALL_SCALE = 250
"""The same for an unsigned integer of 8 bits, which is precise enough for a small picture."""
NO_LABEL = 65_535


def probabilities(values: Any) -> str:
    """A column of probabilities, with four decimals."""
    return _encoded(pc.round(pc.multiply(_floats(values), float(SCALE))), pa.uint16())


def small_probabilities(values: Any) -> str:
    """A column of probabilities with a precision of 1/SMALL_SCALE."""
    return _encoded(pc.round(pc.multiply(_floats(values), float(SMALL_SCALE))), pa.uint8())


def valences(values: Any) -> str:
    """A column of valences, with four decimals."""
    return _encoded(pc.round(pc.multiply(pc.add(_floats(values), 1.0), float(SCALE))), pa.uint16())


def labels(values: Any) -> str:
    """A column of indexes of labels. NULL is NO_LABEL."""
    return _encoded(pc.fill_null(values, NO_LABEL), pa.uint16())


def integers(values: Any) -> str:
    """A column of integers below 2^32."""
    return _encoded(pa.array(values) if isinstance(values, Sequence) else values, pa.uint32())


def script_json(document: object) -> str:
    """JSON that can stand inside a script element: it contains no `<`."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _floats(values: Any) -> Any:
    return pa.array(values, pa.float64()) if isinstance(values, Sequence) else values


def _encoded(values: Any, kind: pa.DataType) -> str:
    array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    array = array.cast(kind)
    width = kind.bit_width // 8
    data = array.buffers()[1]
    start = array.offset * width
    return b64encode(memoryview(data)[start : start + len(array) * width] if data else b"").decode()
