"""Size and hash of an input, taken while it is read."""

import hashlib
import io
from typing import Any

DRAINED_BYTES = 1024 * 1024


class Meter(io.RawIOBase):
    """Passes a stream on. `bytes` and `sha256` are those of what was read of it so far."""

    def __init__(self, stream: io.RawIOBase) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        self.bytes = 0

    @property
    def sha256(self) -> str:
        """Lowercase hex."""
        return self._hash.hexdigest()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        count = self._stream.readinto(buffer)
        if count:
            self._hash.update(memoryview(buffer)[:count])
            self.bytes += count
        return count

    def drain(self) -> None:
        """Read to the end."""
        buffer = bytearray(DRAINED_BYTES)
        while self.readinto(buffer):
            pass

    def close(self) -> None:
        self._stream.close()
        super().close()
