"""TLS of the gRPC server: reads the certificate files, checks them, and reloads changed files."""

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import grpc

from undertone_sidecar.errors import SettingsError
from undertone_sidecar.events import CertificateLoaded, Listener, ignore

_Version: TypeAlias = tuple[tuple[int, int, int], ...]
"""Inode, size and time of change of each file."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: the server's certificate chain, its private key, and the CA of clients.

    With `client_ca`, each client must have a certificate of this CA (mTLS).
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def __iter__(self) -> Iterator[Path]:
        return iter((self.certificate, self.key, *([self.client_ca] if self.client_ca else [])))


@dataclass(frozen=True, slots=True)
class _Loaded:
    """Checked files: the configuration of gRPC, that of Python, and the end of the validity."""

    configuration: grpc.ServerCertificateConfiguration
    context: ssl.SSLContext
    expires_at: float


class ServerCertificates:
    """The current certificates. Files that are invalid or half written do not replace them."""

    def __init__(self, files: TlsFiles, *, poll_seconds: float, listener: Listener = ignore) -> None:
        """Reads the files. Raises SettingsError if they cannot be used."""
        self._files = files
        self._poll_seconds = poll_seconds
        self._listener = listener
        self._version = _version(files)
        self._invalid_version: _Version | None = None
        self._current = _load(files)
        # A deque, because gRPC takes the configuration in another thread.
        self._next: deque[grpc.ServerCertificateConfiguration] = deque(maxlen=1)
        listener(CertificateLoaded(self._current.expires_at))

    def credentials(self) -> grpc.ServerCredentials:
        """Credentials of a server. New connections use the current files."""
        return grpc.dynamic_ssl_server_credentials(
            self._current.configuration,
            self._take_next,  # type: ignore[arg-type] # The type stub lacks None, for no change.
            require_client_authentication=self._files.client_ca is not None,
        )

    def context(self) -> ssl.SSLContext:
        """TLS of one new connection of a server that is not gRPC, with the current files.

        A caller cannot resume its session in another context, so each caller is checked after the
        CA has changed.
        """
        return self._current.context

    async def watch(self) -> None:
        """Reloads changed files, until it is cancelled."""
        while True:
            await asyncio.sleep(self._poll_seconds)
            try:
                await self.reload()
            except Exception:  # such as a thread that cannot be started
                log.exception("the TLS files could not be reloaded; the sidecar tries again")

    async def reload(self) -> None:
        """Reads the files if they changed.

        Invalid files are not used. The next reload reads them again, because they may be half
        written. If they are then unchanged and still invalid, it logs a warning, once.
        """
        version = _version(self._files)
        if version == self._version:
            return
        try:
            loaded = await asyncio.to_thread(_load, self._files)
        except SettingsError as error:
            if version == self._invalid_version:
                self._version = version
                log.warning("the changed TLS files are not used; the previous ones stay in use: %s", error)
            self._invalid_version = version
            return
        self._version, self._current = version, loaded
        self._next.append(loaded.configuration)
        self._listener(CertificateLoaded(loaded.expires_at))
        log.info("TLS files reloaded", extra={"certificate": str(self._files.certificate)})

    def _take_next(self) -> grpc.ServerCertificateConfiguration | None:
        """New certificates for the next handshake, once. gRPC calls it in a thread of its own."""
        try:
            return self._next.popleft()
        except IndexError:
            return None


def _version(files: TlsFiles) -> _Version:
    version = []
    for path in files:
        try:
            status = path.stat()
        except OSError:
            version.append((0, 0, 0))
        else:
            version.append((status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(version)


def _load(files: TlsFiles) -> _Loaded:
    """Reads and checks the files. Raises SettingsError."""
    certificate, key = (_read(path) for path in (files.certificate, files.key))
    client_ca = _read(files.client_ca) if files.client_ca else None
    context, expires_at = _check_pair(files)
    if files.client_ca:
        try:
            _require_client(context, files.client_ca)
        except (ssl.SSLError, OSError):
            raise SettingsError(
                f"--tls-client-ca {files.client_ca} has no CA certificate: use a PEM file with the certificate of the CA that "
                "issues the clients' certificates"
            ) from None
    if [_read(path) for path in files] != [data for data in (certificate, key, client_ca) if data is not None]:
        raise SettingsError(f"{files.certificate} changed while it was read: try again")
    return _Loaded(grpc.ssl_server_certificate_configuration([(key, certificate)], client_ca), context, expires_at)


def _require_client(context: ssl.SSLContext, client_ca: Path) -> None:
    """Requires a certificate of the CA. Raises OSError, which includes ssl.SSLError."""
    context.load_verify_locations(client_ca)
    context.verify_mode = ssl.CERT_REQUIRED


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"the TLS file {path} cannot be read ({error.strerror}): check the path, and that the sidecar may read the file"
        ) from None


def _check_pair(files: TlsFiles) -> tuple[ssl.SSLContext, float]:
    """TLS of a server, and the time at which the certificate expires.

    Raises SettingsError if the certificate cannot be used. Runs a TLS handshake in memory, with a
    client that trusts only this certificate.
    """
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        server.load_cert_chain(files.certificate, files.key, password=lambda: b"")
    except (ssl.SSLError, OSError) as error:
        if isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH":
            raise SettingsError(
                f"the private key {files.key} does not belong to the certificate {files.certificate}: use the key of this "
                "certificate"
            ) from None
        raise SettingsError(
            f"{files.certificate} and {files.key} are not a certificate and its private key: use PEM files with lines such as "
            "-----BEGIN CERTIFICATE----- and -----BEGIN PRIVATE KEY-----, without a password"
        ) from None
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(files.certificate)
    try:
        peer = _handshake(client, server)
    except ssl.SSLCertVerificationError as error:
        raise SettingsError(
            f"the certificate {files.certificate} is not valid ({error.verify_message}): renew it, or check the clock of this "
            "machine"
        ) from None
    except ssl.SSLError as error:
        raise SettingsError(
            f"the certificate {files.certificate} cannot be used for TLS ({error.reason}): issue a new one"
        ) from None
    return server, float(ssl.cert_time_to_seconds(str(peer["notAfter"])))


def _handshake(client_context: ssl.SSLContext, server_context: ssl.SSLContext) -> Any:
    """The certificate that a client receives and accepts. Raises ssl.SSLError."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    unfinished = [client, server]
    while unfinished:
        side = unfinished.pop(0)
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            unfinished.append(side)
    return client.getpeercert()
