"""Stored answers in the memory of the sidecar."""

from collections import OrderedDict
from typing import Final

ENTRY_BYTES: Final = 320
"""Upper bound of the memory of an entry, without its value."""

MIN_BYTES: Final = 1 << 20
"""The smallest cache: about 3,000 answers of 9 labels."""


class MemoryAnswers:
    """The most recently used answers in their stored form, by key."""

    def __init__(self, max_bytes: int) -> None:
        """The cache uses at most `max_bytes` of memory."""
        self._max_bytes = max_bytes
        self._values: OrderedDict[bytes, bytes] = OrderedDict()
        self.bytes = 0
        """Memory of the answers, at most."""

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: bytes) -> bytes | None:
        """The value of a key. None if it is not in the cache."""
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def put(self, key: bytes, value: bytes) -> None:
        """Add a value. It may evict the values that were not used for the longest time."""
        if key in self._values:
            return
        self._values[key] = value
        self.bytes += ENTRY_BYTES + len(value)
        while self.bytes > self._max_bytes:
            _, evicted = self._values.popitem(last=False)
            self.bytes -= ENTRY_BYTES + len(evicted)
