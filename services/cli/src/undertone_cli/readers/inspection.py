"""The first reading of the inputs, which finds their errors before anything is sent."""

import hashlib
import io
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Self

from undertone_client.jobs import InputError

from undertone_cli.readers.column_types import RowTypes
from undertone_cli.readers.formats import Format
from undertone_cli.readers.inputs import Input, InputSet
from undertone_cli.readers.names import printable
from undertone_cli.readers.object_store import ObjectAddress
from undertone_cli.readers.paragraphs import UniqueIds
from undertone_cli.readers.type_inference import TypeInference

READ_BYTES = 1024 * 1024


OnBytes = Callable[[int], None]
"""Receives the number of bytes that were read, of the content as it is, compressed or not."""


def ignore_bytes(count: int) -> None:
    """Does nothing."""


class HashingStream(io.RawIOBase):
    """Passes a stream on. `bytes` and `sha256` are size and hash of the part that was read."""

    def __init__(self, stream: io.RawIOBase, on_bytes: OnBytes = ignore_bytes) -> None:
        self._stream = stream
        self._on_bytes = on_bytes
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
            self._on_bytes(count)
        return count

    def drain(self) -> None:
        """Read to the end."""
        buffer = bytearray(READ_BYTES)
        while self.readinto(buffer):
            pass

    def close(self) -> None:
        self._stream.close()
        super().close()


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Identifies an input and its content. Size and hash of a pipe are None."""

    name: str
    format: str
    document: str
    bytes: int | None
    sha256: str | None
    address: ObjectAddress | None = None

    @classmethod
    def of(cls, source: Input, stream: HashingStream | None) -> Self:
        """The fingerprint of an input that was read to the end, or of a pipe (no stream)."""
        size, digest = (stream.bytes, stream.sha256) if stream else (None, None)
        return cls(source.recorded_name, source.format, source.document, size, digest, source.address)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The fingerprint of a source in _run.json."""
        address = document.get("address")
        return cls(**{**document, "address": ObjectAddress(**address) if address else None})

    @property
    def input(self) -> Input:
        """The input that has this fingerprint.

        Raises:
            InputError: an earlier release wrote the fingerprint, without the parts of the address.
        """
        address = self.address
        if address is None and self._is_object:
            if "?" in self.name:  # a part of the key, or the start of the options
                raise InputError(
                    f"{self.display_name}: _run.json was written by an earlier release and does not say which part of the "
                    "address is the key; run the same `undertone score` again: it also retries the failures"
                )
            address = ObjectAddress.parse(self.name)
        return Input(self.name, Format(self.format), self.document, address)

    @property
    def display_name(self) -> str:
        """The name in messages, without credentials."""
        if self.address is None and self._is_object:
            return printable(self.name.partition("?")[0])
        return self.input.display_name

    @property
    def _is_object(self) -> bool:
        return self.name.startswith(("s3://", "gs://"))


@dataclass(frozen=True, slots=True)
class Inspection:
    """Result of the first reading.

    Attributes:
        fingerprints: the inputs and their content.
        paragraphs: number of paragraphs. None if an input is a pipe.
        types: types of the ids and the kept columns.
    """

    fingerprints: tuple[Fingerprint, ...]
    paragraphs: int | None
    types: RowTypes


def inspect_inputs(inputs: InputSet, on_bytes: OnBytes = ignore_bytes) -> Inspection:
    """Read all files once: hash them, count their paragraphs, check their syntax and ids.

    A second reading costs little compared with scoring, and an error in the last line is found
    before hours of scoring. If an input is a pipe, paragraphs are not counted, and the first record
    of each input determines the types of ids and kept columns.

    Raises:
        InputError: an input cannot be read, or an id is missing or a duplicate.
    """
    streams: dict[str, HashingStream] = {}

    def hash_stream(source: Input, stream: io.RawIOBase) -> HashingStream:
        streams[source.name] = HashingStream(stream, on_bytes)
        return streams[source.name]

    paragraphs, types = None, RowTypes()
    if inputs.rereadable:
        with ExitStack() as stack:
            ids = stack.enter_context(UniqueIds()) if inputs.options.id_column is not None else None
            inference = TypeInference(inputs.options.keep) if inputs.options.has_types else None
            paragraphs = sum(1 for _ in inputs.paragraphs(ids, hash_stream, inference=inference))
            types = inference.types if inference else RowTypes()
    elif inputs.options.has_types:
        types = inputs.first_types()
    for source in inputs.inputs:
        # If an input is a pipe, no file was read. Parquet files were not read from start to end.
        if source.rereadable and source.name not in streams:
            inputs.check_version(source)
            _drain(source, hash_stream(source, source.stream()))
    return Inspection(tuple(Fingerprint.of(source, streams.get(source.name)) for source in inputs.inputs), paragraphs, types)


def check_unchanged(fingerprints: Iterable[Fingerprint], on_bytes: OnBytes = ignore_bytes) -> None:
    """Read all inputs, and compare their hashes with the fingerprints. Pipes are not read.

    Raises:
        InputError: an input has changed or cannot be read.
    """
    for recorded in fingerprints:
        source = recorded.input
        if recorded.sha256 is None:
            continue
        stream = HashingStream(source.stream(), on_bytes)
        _drain(source, stream)
        if stream.sha256 != recorded.sha256:
            raise InputError(
                f"{source.display_name} has changed since it was scored (SHA-256 {recorded.sha256[:12]} then, "
                f"{stream.sha256[:12]} now){source.relative_hint}; restore it, or score the changed inputs into another folder"
            )


def _drain(source: Input, stream: HashingStream) -> None:
    try:
        with stream:
            stream.drain()
    except OSError as error:
        raise InputError(f"{source.display_name} cannot be read: {error.strerror or error}") from None
