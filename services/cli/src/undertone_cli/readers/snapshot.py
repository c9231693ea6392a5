"""The inputs as they were inspected: a later reading stops there, and notices changes."""

import hashlib
import io
from collections.abc import Iterable
from typing import Any

from undertone_client.jobs import InputError

from undertone_cli.readers.inputs import Input
from undertone_cli.readers.inspection import Fingerprint


class Snapshot:
    """Reads each input up to its inspected size, and compares the hash at the end.

    Rows that a program appends during a run are therefore not scored: the table, the hash and the
    count of paragraphs describe the same content.

    Attributes:
        grown: display names of the inputs that have grown since.
    """

    def __init__(self, fingerprints: Iterable[Fingerprint]) -> None:
        self._fingerprints = {each.name: each for each in fingerprints if each.sha256 is not None}
        self.grown: list[str] = []

    def filter(self, source: Input, stream: io.RawIOBase) -> io.RawIOBase:
        """The stream of an input, cut off at its inspected size. Pipes are returned unchanged.

        Reading raises InputError at the end if the content has changed.
        """
        recorded = self._fingerprints.get(source.name)
        return stream if recorded is None else _SnapshotStream(stream, source, recorded, self.grown)


class _SnapshotStream(io.RawIOBase):
    def __init__(self, stream: io.RawIOBase, source: Input, recorded: Fingerprint, grown: list[str]) -> None:
        self._stream = stream
        self._source = source
        self._recorded = recorded
        self._grown = grown
        self._hash = hashlib.sha256()
        self._left = recorded.bytes or 0
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._stream.readinto(memoryview(buffer)[: self._left]) if self._left else 0
        if not count:
            self._check_end()
            return 0
        self._hash.update(memoryview(buffer)[:count])
        self._left -= count
        return count

    def _check_end(self) -> None:
        if self._ended:
            return
        self._ended = True
        if self._hash.hexdigest() != self._recorded.sha256:
            raise InputError(
                f"{self._source.display_name} has changed since the run began; score a copy that does not change into another "
                "folder, or discard the run with `undertone score --overwrite`"
            )
        if self._stream.readinto(bytearray(1)):
            self._grown.append(self._source.display_name)

    def close(self) -> None:
        self._stream.close()
        super().close()
