"""Lines of a text file in UTF-8."""

import io
from collections.abc import Iterator
from typing import Any

from undertone_client.jobs import InputError

from undertone_cli.readers.encoding import SAMPLE_BYTES, describe_encoding, describe_null_bytes, describe_signature

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
MAX_LINE_BYTES = 64 * 1024 * 1024
"""Maximum size of a line. Bounds the memory for a file without line ends."""


def read_lines(stream: "io.BufferedReader[Any]", name: str) -> Iterator[tuple[int, str]]:
    """Line numbers from 1, and lines with their ends, without a byte order mark.

    Raises:
        InputError: the content is not UTF-8 text, a line is too long, or the stream cannot be read.
    """
    number = 0
    try:
        head = stream.peek(4)
        if (problem := describe_signature(head)) is not None:
            raise InputError(f"{name} cannot be read as text: {problem}")
        for number, line in enumerate(iter(lambda: stream.readline(MAX_LINE_BYTES + 1), b""), start=1):
            if b"\0" in line:
                raise InputError(f"{name}, line {number}: {describe_null_bytes(_sample(line, stream))}")
            if len(line) > MAX_LINE_BYTES:
                raise InputError(f"{name}, line {number}: longer than {MAX_LINE_BYTES} bytes; check the format (--format)")
            try:
                yield number, (line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line).decode()
            except UnicodeDecodeError as error:
                byte = error.object[error.start]
                raise InputError(
                    f"{name}, line {number}: byte 0x{byte:02x} is not UTF-8: {describe_encoding(_sample(line, stream))}"
                ) from None
    except OSError as error:
        raise InputError(f"{name}, after line {number}: {error.strerror or error}") from None


def _sample(line: bytes, stream: "io.BufferedReader[Any]") -> bytes:
    """The line and what follows it, as far as it is there."""
    return (line + stream.read1(SAMPLE_BYTES))[:SAMPLE_BYTES] if len(line) < SAMPLE_BYTES else line[:SAMPLE_BYTES]
