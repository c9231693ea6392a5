"""Credentials in the metadata of each call, read from files that may change."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from undertone_client.errors import SettingsError

_MAX_BYTES: Final = 16_384
_VALUE: Final = re.compile(r"[!-~]+")
"""Visible characters of ASCII, which gRPC accepts in metadata."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Credentials of the caller, for services that require them. Set one of the files.

    Args:
        api_key_file: file with an API key, sent as `x-api-key`. Only its first line is used.
        token_file: file with a JSON Web Token, sent as `authorization: Bearer`.

    Raises:
        SettingsError: none or both of the files are set.
    """

    api_key_file: Path | None = None
    token_file: Path | None = None

    def __post_init__(self) -> None:
        if (self.api_key_file is None) == (self.token_file is None):
            raise SettingsError("api_key_file and token_file exclude each other: set one of them")


class CredentialsReader:
    """The metadata of calls with these credentials.

    Reads the file again when it changes, because tokens expire while a job runs.

    Raises:
        SettingsError: the file cannot be read, or has no valid credential. The message does not
            contain the credential.
    """

    def __init__(self, credentials: Credentials) -> None:
        if credentials.api_key_file is not None:
            self._path, self._key, self._prefix = credentials.api_key_file, "x-api-key", ""
        else:
            assert credentials.token_file is not None  # noqa: S101 - Credentials has one of them
            self._path, self._key, self._prefix = credentials.token_file, "authorization", "Bearer "
        self._version = self._read_version()
        self._metadata = self._read()

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Metadata for a call. While the changed file cannot be read, the last valid credential."""
        try:
            version = self._read_version()
            if version != self._version:
                self._metadata = self._read()
                self._version = version
        except SettingsError:
            pass
        return self._metadata

    def _read_version(self) -> tuple[int, int, int]:
        try:
            status = self._path.stat()
        except OSError as error:
            raise SettingsError(f"{self._path} cannot be read: {error.strerror or error}") from None
        return status.st_ino, status.st_mtime_ns, status.st_size

    def _read(self) -> tuple[tuple[str, str], ...]:
        try:
            with self._path.open("rb") as file:
                content = file.read(_MAX_BYTES + 1)
        except OSError as error:
            raise SettingsError(f"{self._path} cannot be read: {error.strerror or error}") from None
        value = content.partition(b"\n")[0].decode("ascii", "replace").strip()
        if len(content) > _MAX_BYTES or not _VALUE.fullmatch(value):
            raise SettingsError(
                f"{self._path} has no credential: use a file whose first line is the credential, in visible ASCII characters"
            )
        return ((self._key, self._prefix + value),)
