"""Objects in object stores: `s3://bucket/key` and `gs://bucket/key`, through Arrow's file systems."""

import functools
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import pyarrow as pa
import pyarrow.fs as pafs
from undertone_client.jobs import InputError

FETCHED_BYTES = 4 * 1024 * 1024
"""How much one request asks an object store for: enough that its latency does not count."""

_URI = re.compile(r"(?P<scheme>s3|gs)://(?P<user>[^@/]*@)?(?P<path>[^?]*)(\?(?P<options>.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Address:
    """A place in an object store. `path` is the bucket and the key as they are, not percent-encoded.

    `options` are those of Arrow's URIs, such as `region=eu-central-1&endpoint_override=minio:9000&scheme=http`; `user` is
    empty or `anonymous@`. Credentials come from where the stores' own tools have them: environment, profile, metadata service.
    """

    scheme: str
    user: str
    path: str
    options: str

    @classmethod
    def parse(cls, name: str) -> Self | None:
        """The address that `name` is, or None for a name of another kind.

        Raises:
            InputError: it holds a password, which would end up in run.json, or names no bucket.
        """
        match = _URI.fullmatch(name)
        if match is None:
            return None
        scheme, user, path, options = (match[group] or "" for group in ("scheme", "user", "path", "options"))
        address = cls(scheme, user, path.rstrip("/"), options)
        if user not in ("", "anonymous@"):
            raise InputError(
                f"{address.shown}: credentials do not belong into an address, which is written to run.json; "
                "give them by environment variables or a profile, as the store's own tools read them"
            )
        if not address.path.partition("/")[0]:
            raise InputError(f"{name} names no bucket; an address has the form {scheme}://bucket/key")
        return address

    def __str__(self) -> str:
        return f"{self.scheme}://{self.user}{self.path}" + (f"?{self.options}" if self.options else "")

    @property
    def shown(self) -> str:
        """The address for people: without its options."""
        return f"{self.scheme}://{self.path}"

    def at(self, path: str) -> "Address":
        """Another place in the same store."""
        return Address(self.scheme, self.user, path, self.options)

    def kind(self) -> Any:
        """Arrow's `FileType` of what is here: a file, a directory (something lies below) or nothing.

        Raises:
            InputError: the store does not answer, or does not let us look.
        """
        with self._reading():
            return self._store().get_file_info(self.path).type

    def files_below(self) -> Iterator[tuple[str, str]]:
        """Every object below, in the order of their keys: its path in the store, and that path from here on.

        Raises:
            InputError: the store does not answer, or does not let us look.
        """
        with self._reading():
            found = self._store().get_file_info(pafs.FileSelector(self.path, recursive=True, allow_not_found=True))
        for path in sorted(info.path for info in found if info.type == pafs.FileType.File):
            yield path, path.removeprefix(self.path).lstrip("/")

    def stream(self) -> io.RawIOBase:
        """The object's bytes from its beginning, fetched as they are read.

        Raises:
            InputError: it cannot be opened. What goes wrong while reading is an OSError, as with a file.
        """
        with self._reading():
            opened = self._store().open_input_stream(self.path, compression=None, buffer_size=FETCHED_BYTES)
        return _ObjectStream(opened)

    def file(self) -> Any:
        """The object as an Arrow file that can be read anywhere, as Parquet needs it.

        Raises:
            InputError: it cannot be opened.
        """
        with self._reading():
            return self._store().open_input_file(self.path)

    def _store(self) -> Any:
        return _store(self.scheme, self.user, self.path.partition("/")[0], self.options)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{self.shown} cannot be read: {str(error).rstrip('.')}") from None


@functools.lru_cache(maxsize=32)
def _store(scheme: str, user: str, bucket: str, options: str) -> Any:
    # The key is left out of the URI that Arrow parses: keys may hold characters that URIs may not.
    filesystem, _ = pafs.FileSystem.from_uri(f"{scheme}://{user}{bucket}" + (f"?{options}" if options else ""))
    return filesystem


class _ObjectStream(io.RawIOBase):
    """Python's view of an Arrow stream, which lacks lines."""

    def __init__(self, opened: Any) -> None:
        self._opened = opened

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return int(self._opened.readinto(buffer))

    def close(self) -> None:
        self._opened.close()
        super().close()
