"""Objects in object stores (`s3://bucket/key`, `gs://bucket/key`), through Arrow."""

import functools
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Self

import pyarrow as pa
import pyarrow.fs as pafs
from undertone_client.jobs import InputError

from undertone_cli.readers.names import printable

READ_BYTES = 4 * 1024 * 1024
"""Size of one read request: large enough to make its latency negligible."""

_URI = re.compile(r"(?P<scheme>s3|gs)://(?P<user>[^@/]*@)?(?P<path>[^?]*)(\?(?P<options>.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ObjectAddress:
    """Address of an object or a prefix in an object store.

    Credentials come from where the store's own tools read them: environment, profile or metadata
    service.

    Attributes:
        scheme: `s3` or `gs`.
        user: empty or `anonymous@`.
        path: bucket and key, without percent-encoding.
        options: those of Arrow's URIs, such as
            `region=eu-central-1&endpoint_override=minio:9000&scheme=http`.
    """

    scheme: str
    user: str
    path: str
    options: str

    @classmethod
    def parse(cls, name: str) -> Self | None:
        """The address that a user gave. None if `name` is not an address of an object store.

        Only for addresses of users: the key of an object that was found in a store may contain a
        question mark, and what follows it must not become options.

        Raises:
            InputError: the address contains credentials, which _run.json would show, or no bucket.
        """
        match = _URI.fullmatch(name)
        if match is None:
            return None
        scheme, user, path, options = (match[group] or "" for group in ("scheme", "user", "path", "options"))
        address = cls(scheme, user, path.rstrip("/"), options)
        if user not in ("", "anonymous@"):
            raise InputError(
                f"{address.display_name}: an address must not contain credentials, because it is written to _run.json; "
                "set them in environment variables or in a profile, as for the store's own tools"
            )
        if not address.path.partition("/")[0]:
            raise InputError(f"{name} has no bucket; an address has the form {scheme}://bucket/key")
        return address

    def __str__(self) -> str:
        return f"{self.scheme}://{self.user}{self.path}" + (f"?{self.options}" if self.options else "")

    @property
    def display_name(self) -> str:
        """The address without user and options, for messages."""
        return f"{self.scheme}://{printable(self.path)}"

    def with_path(self, path: str) -> "ObjectAddress":
        """Another address in the same store. `path` is a bucket and a key of any characters."""
        return replace(self, path=path)

    def file_type(self) -> Any:
        """Arrow's `FileType`: a file, a directory (there are objects below) or nothing.

        Raises:
            InputError: the store does not answer or denies access.
        """
        with self._input_errors():
            return self._store().get_file_info(self.path).type

    def version(self) -> object:
        """A value that differs after the object was replaced.

        Raises:
            InputError: the store does not answer or denies access.
        """
        with self._input_errors():
            info = self._store().get_file_info(self.path)
        return info.size, info.mtime_ns

    def size(self) -> int:
        """Bytes of the object.

        Raises:
            InputError: the store does not answer or denies access.
        """
        with self._input_errors():
            return int(self._store().get_file_info(self.path).size)

    def files_below(self) -> Iterator[tuple[str, str]]:
        """The objects below this address, sorted by key.

        Yields the path of each object in the store, and its path relative to this address.

        Raises:
            InputError: the store does not answer or denies access.
        """
        with self._input_errors():
            infos = self._store().get_file_info(pafs.FileSelector(self.path, recursive=True, allow_not_found=True))
        for path in sorted(info.path for info in infos if info.type == pafs.FileType.File):
            yield path, path.removeprefix(f"{self.path}/")

    def stream(self) -> io.RawIOBase:
        """The object's bytes from the start, fetched as they are read; reading raises OSError.

        Raises:
            InputError: the object cannot be opened.
        """
        with self._input_errors():
            stream = self._store().open_input_stream(self.path, compression=None, buffer_size=READ_BYTES)
        return _ObjectStream(stream)

    def file(self) -> Any:
        """The object as an Arrow file with random access, which Parquet needs.

        Raises:
            InputError: the object cannot be opened.
        """
        with self._input_errors():
            return self._store().open_input_file(self.path)

    def _store(self) -> Any:
        return _store(self.scheme, self.user, self.path.partition("/")[0], self.options)

    @contextmanager
    def _input_errors(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{self.display_name} cannot be read: {str(error).rstrip('.')}") from None


@functools.lru_cache(maxsize=32)
def _store(scheme: str, user: str, bucket: str, options: str) -> Any:
    # Arrow parses a URI without the key, because keys may contain characters invalid in URIs.
    filesystem, _ = pafs.FileSystem.from_uri(f"{scheme}://{user}{bucket}" + (f"?{options}" if options else ""))
    return filesystem


class _ObjectStream(io.RawIOBase):
    """Adapts an Arrow stream, which cannot read lines, to Python's io."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return int(self._stream.readinto(buffer))

    def close(self) -> None:
        self._stream.close()
        super().close()
