"""Lines of a file as text, each with its number, and with a clear word about the one that is not UTF-8."""

from collections.abc import Iterator
from typing import BinaryIO

from undertone_client.jobs import InputError

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
LONGEST_LINE = 64 * 1024 * 1024
"""Bytes. No paragraph is that long; a file that is one endless line must not fill the memory."""


def numbered_lines(stream: BinaryIO, name: str) -> Iterator[tuple[int, str]]:
    """Numbers from 1, and lines with their ends; a byte order mark is dropped.

    Raises:
        InputError: a line is not UTF-8 or endless, or the stream cannot be read.
    """
    number = 0
    try:
        for number, line in enumerate(iter(lambda: stream.readline(LONGEST_LINE + 1), b""), start=1):
            if len(line) > LONGEST_LINE:
                raise InputError(f"{name}, line {number}: longer than {LONGEST_LINE} bytes; is it in the form that was named?")
            yield number, (line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line).decode()
    except UnicodeDecodeError as error:
        raise InputError(
            f"{name}, line {number}: byte 0x{error.object[error.start]:02x} is not UTF-8; "
            f"convert the file first, such as with: iconv -f LATIN1 -t UTF-8"
        ) from None
    except OSError as error:
        raise InputError(f"{name}, after line {number}: {error.strerror or error}") from None
