"""Parses the JSON of callers in bounded time."""

import json
from collections.abc import Generator
from dataclasses import dataclass
from json.decoder import scanstring  # type: ignore[attr-defined] # The type stub lacks it.
from typing import Any, Final, Self

from undertone_protos.json_syntax import syntax_problem

from undertone_sidecar.request_limits import MAX_ID_CHARACTERS, RequestLimits

_MAX_GAP: Final = 65536
"""Maximum number of characters before, between and after strings."""

_GZIP: Final = b"\x1f\x8b"
"""The first bytes of a body that is compressed with gzip."""

_ELEMENTS_PER_PARAGRAPH: Final = 16
"""More than twice the strings, commas, objects and arrays of a text and an id in JSON."""


class JsonError(ValueError):
    """The text is not a request of the method in JSON. The message says why, without any text."""


@dataclass(frozen=True, slots=True)
class JsonLimits:
    """Limits that bound the time to decode a body. No valid request exceeds them.

    `elements` limits the strings, commas, arrays and objects, `escapes` the escape sequences.
    """

    elements: int
    escapes: int

    @classmethod
    def of(cls, limits: RequestLimits, *, other_elements: int) -> Self:
        """Limits of a request with a batch, and with `other_elements` around its paragraphs."""
        return cls(
            elements=other_elements + _ELEMENTS_PER_PARAGRAPH * limits.batch_paragraphs,
            escapes=limits.batch_bytes + MAX_ID_CHARACTERS * limits.batch_paragraphs,
        )


def parse_json(data: bytes, limits: JsonLimits, **hooks: Any) -> Generator[None, None, Any]:
    """The value of JSON in UTF-8, in steps that take milliseconds for a large text.

    The time is bounded, because what needs time is counted before it is decoded.

    Args:
        data: The text.
        limits: What is counted.
        hooks: Arguments of json.loads, such as object_pairs_hook.

    Raises:
        JsonError: The text is not JSON, or exceeds the limits.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise JsonError(f"byte {error.start}: {_encoding_problem(data)}") from None
    try:
        yield
        _check_escapes(text, limits.escapes)
        yield
        _check_elements(text, limits.elements)
        yield
        return json.loads(text, **hooks)
    except json.JSONDecodeError as error:
        raise JsonError(f"line {error.lineno}, column {error.colno}: {syntax_problem(error)}") from None
    except RecursionError:
        raise JsonError("the arrays and objects are too deep") from None


def _check_escapes(text: str, maximum: int) -> None:
    backslashes = text.count("\\")
    # Of a run of backslashes, each two are one escape sequence.
    if backslashes > maximum and backslashes - text.count("\\\\") > maximum:
        raise JsonError(f"the request has more than {maximum} escape sequences: send several smaller requests")


def _check_elements(text: str, maximum: int) -> None:
    """Raises JsonError or json.JSONDecodeError."""
    elements = position = 0
    while True:
        start = text.find('"', position)
        end = len(text) if start < 0 else start
        if end - position > _MAX_GAP:
            raise JsonError(f"character {position}: no string within {_MAX_GAP} characters")
        elements += 1 + text.count(",", position, end) + text.count("[", position, end) + text.count("{", position, end)
        if elements > maximum:
            raise JsonError(f"the request has more than {maximum} elements: send several smaller requests")
        if start < 0:
            return
        position = scanstring(text, start + 1)[1]


def _encoding_problem(body: bytes) -> str:
    compressed = body.startswith(_GZIP)
    return "the body is compressed with gzip: send it uncompressed" if compressed else "the body is not UTF-8: convert it"
