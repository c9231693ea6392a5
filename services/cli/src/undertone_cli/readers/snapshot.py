"""The inputs as they were inspected: a later reading stops there, and notices changes."""

import io
from collections.abc import Iterable
from typing import Any

from undertone_client.jobs import InputError

from undertone_cli.readers.inputs import Input
from undertone_cli.readers.inspection import Fingerprint, HashingStream


class Snapshot:
    """Reads each input up to its inspected size, and compares the hash at the end.

    Rows that a program appends during a run are therefore not scored: the table, the hash and the
    count of paragraphs describe the same content.

    Attributes:
        grown: display names of the inputs that have grown since.
    """

    def __init__(self, fingerprints: Iterable[Fingerprint]) -> None:
        self._fingerprints = {each.input.recorded_name: each for each in fingerprints if each.sha256 is not None}
        self.grown: list[str] = []

    def filter(self, source: Input, stream: io.RawIOBase) -> io.RawIOBase:
        """The stream of an input, cut off at its inspected size. Pipes are returned unchanged.

        Reading raises InputError at the end if the content has changed.
        """
        recorded = self._fingerprints.get(source.recorded_name)
        return stream if recorded is None else _SnapshotStream(stream, source, recorded, self.grown)


class _SnapshotStream(HashingStream):
    def __init__(self, stream: io.RawIOBase, source: Input, recorded: Fingerprint, grown: list[str]) -> None:
        super().__init__(stream)
        self._source = source
        self._recorded = recorded
        self._grown = grown
        self._ended = False

    def readinto(self, buffer: Any) -> int | None:
        left = (self._recorded.bytes or 0) - self.bytes
        count = super().readinto(memoryview(buffer)[:left]) if left else 0
        if not count:
            self._check_end()
        return count

    def _check_end(self) -> None:
        if self._ended:
            return
        self._ended = True
        if self.sha256 != self._recorded.sha256:
            raise InputError(
                f"{self._source.display_name} has changed since the run began; score a copy that does not change into another "
                "folder, or discard the run with `undertone score --overwrite`"
            )
        if self._stream.readinto(bytearray(1)):
            self._grown.append(self._source.display_name)
