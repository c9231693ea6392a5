"""Decompresses inputs: gzip, bzip2, xz and Zstandard, which their first bytes show."""

import bz2
import enum
import io
import itertools
import lzma
import re
import zlib
from collections.abc import Callable, Generator, Iterator
from pathlib import PurePosixPath
from typing import Any, Final, Protocol

import zstandard

READ_BYTES: Final = 64 * 1024
"""Size of one read, and maximum size of a decompressed piece, except with Zstandard."""
ZSTANDARD_BYTES: Final = 512
"""Zstandard's decompressor cannot limit its output: 512 bytes of a malicious file become 16 MB."""
XZ_MEMORY_BYTES: Final = 256 * 1024 * 1024
"""Enough for all presets of xz."""
HEAD_BYTES: Final = 10
"""Enough for every signature."""


class Compression(enum.StrEnum):
    """How a file is compressed."""

    GZIP = "gzip"
    BZIP2 = "bzip2"
    XZ = "xz"
    ZSTANDARD = "Zstandard"

    @classmethod
    def of_content(cls, head: bytes) -> "Compression | None":
        """The compression of a file with these first bytes. None if it is not compressed."""
        found = next((each for each, beginnings in _BEGINNINGS.items() if head.startswith(beginnings)), None)
        return None if found is cls.BZIP2 and not _BZIP2_HEAD.match(head) else found

    @classmethod
    def of_name(cls, name: str) -> "Compression | None":
        """The compression that the suffix of a file shows. None for other suffixes."""
        return _BY_SUFFIX.get(PurePosixPath(name).suffix.lower())


_BEGINNINGS: Final = {
    Compression.GZIP: (b"\x1f\x8b",),
    Compression.BZIP2: (b"BZh",),
    Compression.XZ: (b"\xfd7zXZ\x00",),
    # A frame with content, or one without, such as an index. Files of pzstd begin with the latter.
    Compression.ZSTANDARD: (b"\x28\xb5\x2f\xfd", *(bytes([first]) + b"\x2a\x4d\x18" for first in range(0x50, 0x60))),
}
"""The fixed first bytes of each compression."""
_BZIP2_HEAD: Final = re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P)")
"""A text can begin with BZh. A file without content has no block."""
_BY_SUFFIX: Final = {
    ".gz": Compression.GZIP,
    ".bz2": Compression.BZIP2,
    ".xz": Compression.XZ,
    ".zst": Compression.ZSTANDARD,
}


class CompressionError(OSError):
    """The content is damaged, incomplete, or not compressed although the suffix says so."""


class DecompressedStream(io.RawIOBase):
    """The decompressed bytes of a stream, or its bytes if they are not compressed.

    Memory is bounded for any content. A file may consist of several members, as `cat a.gz b.gz`
    makes. Reading raises CompressionError.

    Args:
        stream: the bytes of a file. It is read to its end, and closed with this stream.
        expected: the compression that the file's name shows.
    """

    def __init__(self, stream: io.RawIOBase, expected: Compression | None = None) -> None:
        self._stream = stream
        self._expected = expected
        self._piece = memoryview(b"")
        self._pieces: Iterator[bytes] | None = None
        self._compressed = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._pieces is None:
            self._pieces = self._open()
        while not self._piece:
            if not self._compressed:
                return self._stream.readinto(buffer)
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._piece = memoryview(piece)
        count = min(len(buffer), len(self._piece))
        buffer[:count] = self._piece[:count]
        self._piece = self._piece[count:]
        return count

    def close(self) -> None:
        self._stream.close()
        super().close()

    def _read(self) -> bytes:
        return self._stream.read(READ_BYTES) or b""

    def _open(self) -> Iterator[bytes]:
        head = b""
        # A short line of a pipe or a terminal must not wait for the next one.
        while len(head) < HEAD_BYTES and _may_be_compressed(head) and (more := self._read()):
            head += more
        compression = Compression.of_content(head)
        if compression is None:
            if self._expected is not None:
                content = "is empty" if not head else f"is not compressed with {self._expected}"
                raise CompressionError(
                    0, f"the file {content}, although its suffix says so: remove the suffix, or get the file again"
                )
            self._piece = memoryview(head)
            return iter(())
        self._compressed = True
        return _decompressed(compression, head, self._read)


def _may_be_compressed(head: bytes) -> bool:
    """Whether more bytes could show a compression."""
    beginnings = itertools.chain.from_iterable(_BEGINNINGS.values())
    return any(beginning.startswith(head[: len(beginning)]) for beginning in beginnings)


def _decompressed(compression: Compression, data: bytes, read: Callable[[], bytes]) -> Iterator[bytes]:
    """The content of all members."""
    while data:
        data = yield from _MEMBERS[compression](data, read)
        data = _filled(data, HEAD_BYTES, read)
        while data and not data.strip(b"\0") and compression in (Compression.GZIP, Compression.XZ):  # padding
            data = read()
        data = _filled(data, HEAD_BYTES, read)
        if data and Compression.of_content(data) is not compression:
            raise CompressionError(0, f"the {compression} data is followed by other bytes: the file is damaged; get it again")


def _filled(data: bytes, size: int, read: Callable[[], bytes]) -> bytes:
    """The data and what follows, of at least `size` bytes unless the stream ends before."""
    while len(data) < size and (more := read()):
        data += more
    return data


Member = Generator[bytes, None, bytes]
"""Yields the content of a member. Returns the bytes after it that were read."""


class _LimitedDecompressor(Protocol):
    """A decompressor of bz2 or lzma."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


def _gzip_member(data: bytes, read: Callable[[], bytes]) -> Member:
    decompressor = zlib.decompressobj(wbits=zlib.MAX_WBITS + 16)
    while True:
        with _damage(Compression.GZIP):
            piece = decompressor.decompress(data, READ_BYTES)
        yield piece
        if decompressor.eof:
            return decompressor.unused_data
        data = decompressor.unconsumed_tail
        if not data and len(piece) < READ_BYTES:  # after a full piece, there may be more without input
            data = _more(Compression.GZIP, read)


def _limited_member(
    compression: Compression, make: Callable[[], _LimitedDecompressor]
) -> Callable[[bytes, Callable[[], bytes]], Member]:
    def member(data: bytes, read: Callable[[], bytes]) -> Member:
        decompressor = make()
        while True:
            with _damage(compression):
                piece = decompressor.decompress(data, READ_BYTES)
            yield piece
            if decompressor.eof:
                return decompressor.unused_data
            data = _more(compression, read) if decompressor.needs_input else b""

    return member


def _zstandard_member(data: bytes, read: Callable[[], bytes]) -> Member:
    decompressor = zstandard.ZstdDecompressor().decompressobj()
    while True:
        with _damage(Compression.ZSTANDARD):
            piece = decompressor.decompress(data[:ZSTANDARD_BYTES])
        yield piece
        if decompressor.eof:
            return decompressor.unused_data + data[ZSTANDARD_BYTES:]
        data = data[ZSTANDARD_BYTES:] or _more(Compression.ZSTANDARD, read)


_MEMBERS: Final[dict[Compression, Callable[[bytes, Callable[[], bytes]], Member]]] = {
    Compression.GZIP: _gzip_member,
    Compression.BZIP2: _limited_member(Compression.BZIP2, bz2.BZ2Decompressor),
    Compression.XZ: _limited_member(Compression.XZ, lambda: lzma.LZMADecompressor(memlimit=XZ_MEMORY_BYTES)),
    Compression.ZSTANDARD: _zstandard_member,
}


class _damage:  # noqa: N801 - a context manager
    """Names the compression in errors of a decompressor."""

    def __init__(self, compression: Compression) -> None:
        self._compression = compression

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, zlib.error | lzma.LZMAError | zstandard.ZstdError | OSError):
            reason = str(error).lower().removesuffix(".")
            raise CompressionError(0, f"the {self._compression} data is damaged ({reason}); get the file again") from None


def _more(compression: Compression, read: Callable[[], bytes]) -> bytes:
    data = read()
    if not data:
        raise CompressionError(0, f"the {compression} data is incomplete: the file was cut off; get it again")
    return data
