"""Lines of a text file in UTF-8."""

import io
from collections.abc import Iterator
from typing import Any

from undertone_client.jobs import InputError

from undertone_cli.readers.bad_lines import BadLine
from undertone_cli.readers.encoding import (
    SAMPLE_BYTES,
    SIGNATURE_BYTES,
    describe_encoding,
    describe_null_bytes,
    describe_signature,
)

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
MAX_LINE_BYTES = 64 * 1024 * 1024
"""Maximum size of a line. Bounds the memory for a file without line ends."""


def read_lines(stream: "io.BufferedReader[Any]", name: str) -> Iterator[tuple[int, str | BadLine]]:
    """Line numbers from 1, and lines with their ends, without a byte order mark.

    A line that is not UTF-8 text or too long is a BadLine.

    Raises:
        InputError: the content is of another format, or the stream cannot be read.
    """
    number = 0
    try:
        check_signature(stream, name)
        for number, line in enumerate(iter(lambda: stream.readline(MAX_LINE_BYTES + 1), b""), start=1):
            yield number, _decoded(line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line, number, stream, name)
            if len(line) > MAX_LINE_BYTES:
                _skip_line(line, stream)
    except OSError as error:
        place = f"{name}, after line {number}" if number else name
        raise InputError(f"{place}: {error.strerror or error}") from None


def check_signature(stream: "io.BufferedReader[Any]", name: str) -> None:
    """Check that the content is not of another format.

    Raises:
        InputError: it is.
        OSError: the stream cannot be read.
    """
    if (problem := describe_signature(stream.peek(SIGNATURE_BYTES), name)) is not None:
        raise InputError(f"{name} cannot be read as text: {problem}")


def _decoded(line: bytes, number: int, stream: "io.BufferedReader[Any]", name: str) -> str | BadLine:
    if b"\0" in line:
        return BadLine(number, "it contains null bytes", lambda: describe_null_bytes(_sample(line, stream), name))
    if len(line) > MAX_LINE_BYTES:
        return BadLine(number, f"longer than {MAX_LINE_BYTES} bytes", lambda: "check the format (--format)")
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        return BadLine(number, f"byte 0x{byte:02x} is not UTF-8", lambda: describe_encoding(_sample(line, stream), name))


def _sample(line: bytes, stream: "io.BufferedReader[Any]") -> bytes:
    """The line and what follows it, as far as it is there."""
    return (line + stream.peek(SAMPLE_BYTES))[:SAMPLE_BYTES] if len(line) < SAMPLE_BYTES else line[:SAMPLE_BYTES]


def _skip_line(line: bytes, stream: "io.BufferedReader[Any]") -> None:
    while line and not line.endswith(b"\n"):
        line = stream.readline(MAX_LINE_BYTES)
