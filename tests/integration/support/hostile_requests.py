"""Requests that cost a server as much as possible, and valid requests of the largest size."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from undertone_protos.v1 import classifier_pb2

CLASSIFY: Final = "/undertone.v1.Classifier/Classify"
CLASSIFY_BATCH: Final = "/undertone.v1.Classifier/ClassifyBatch"
MODEL_INFER: Final = "/inference.GRPCInferenceService/ModelInfer"

MESSAGE_BYTES: Final = 2_690_000
"""Slightly less than the maximum size of a message with the sidecar's default limits."""

EMPTY_ENTRIES: Final = b"\x0a\x00" * (MESSAGE_BYTES // 2)
"""1.34 million empty strings or messages as field 1."""


@dataclass(frozen=True, slots=True)
class Attack:
    """`count` equal calls at once."""

    method: str
    message: bytes
    count: int = 1


def paragraph(text: str, *, identifier: str = "", count: int = 1) -> Attack:
    return Attack(CLASSIFY, classifier_pb2.ClassifyRequest(text=text, id=identifier).SerializeToString(), count)


def batch(texts: Sequence[str], *, identifier: str = "", count: int = 1) -> Attack:
    paragraphs = [classifier_pb2.Paragraph(text=text, id=identifier) for text in texts]
    return Attack(CLASSIFY_BATCH, classifier_pb2.ClassifyBatchRequest(paragraphs=paragraphs).SerializeToString(), count)


def field(number: int, content: bytes) -> bytes:
    """An encoded length-delimited field."""
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def inference(tensor: bytes, *, raw: bytes = b"") -> Attack:
    """A request with an input tensor, which is a text of shape [256], and its raw contents."""
    text = field(1, b"text") + field(2, b"BYTES") + field(3, b"\x80\x02")
    return Attack(MODEL_INFER, field(1, b"emotions") + field(5, text + tensor) + (field(7, raw) if raw else b""))


def attacks() -> dict[str, Attack]:
    """Each kind of costly request, by name."""
    rng = random.Random(1)

    def words(count: int, letters: int) -> str:
        return " ".join("".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=letters)) for _ in range(count))

    half = MESSAGE_BYTES // 2 - 16
    return {
        "empty entries": Attack(CLASSIFY_BATCH, EMPTY_ENTRIES),
        "24 batches of empty entries": Attack(CLASSIFY_BATCH, EMPTY_ENTRIES, 24),
        "small batch of empty entries": Attack(CLASSIFY_BATCH, b"\x0a\x00" * 16_000),
        "repeated text": Attack(CLASSIFY, EMPTY_ENTRIES),
        "repeated text in a paragraph": Attack(CLASSIFY_BATCH, field(1, b"\x0a\x00" * half)),
        "many unknown fields": Attack(CLASSIFY, b"\x78\x00" * half),
        "large unknown field": Attack(CLASSIFY, field(1, b"rain") + field(15, b"a" * 2 * half)),
        "nested unknown groups": Attack(CLASSIFY, field(1, b"rain") + (b"\x7b" * 90 + b"\x7c" * 90) * (half // 90 - 1)),
        "large ASCII text": paragraph("a" * 2 * half),
        "large text": paragraph("漢" * (half // 2)),
        "large white space": paragraph("\u2003" * (half // 2)),
        "large id": paragraph("rain", identifier="漢" * (half // 2)),
        "256 large ids": batch(["rain"] * 256, identifier="漢" * 3400),
        "largest valid batch": batch([words(409, 9) for _ in range(256)], identifier="漢" * 256),
        "most tokens": batch([". " * 16_383] * 31),
        "distinct words": batch([words(8191, 3) for _ in range(31)]),
        "one word": batch(["".join(rng.choices("abcdefg", k=32_767)) for _ in range(31)]),
        "combining characters": batch(["a\u0301" * 16_000] * 15),
        "control characters": batch(["\x0b" * 32_767] * 31),
        "refused paragraphs": batch([" "] * 256, count=8),
        "longest paragraphs": paragraph("." * 32_767, count=8),
        "small calls": paragraph("rain", count=500),
        "tensors": Attack(MODEL_INFER, b"\x2a\x00" * half),
        "empty outputs": Attack(MODEL_INFER, field(1, b"emotions") + b"\x32\x00" * 16_000),
        "outputs": Attack(MODEL_INFER, field(1, b"emotions") + b"".join(field(6, field(1, b"%x" % i)) for i in range(4000))),
        "empty elements of a tensor": inference(field(5, b"\x42\x00" * half)),
        "elements of another type": inference(field(5, field(1, b"\x01" * 2 * half))),
        "dimensions of a tensor": inference(field(3, b"\x01" * 2 * half)),
        "raw elements": inference(b"", raw=(b"\x00\x10\x00\x00" + b"rain" * 1024) * 256),
        "more raw elements than the shape has": inference(b"", raw=bytes(2 * half)),
        "refused calls": paragraph("", count=500),
    }


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])
