"""The reload of certificate files, with errors of the machine."""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from undertone_sidecar.events import CertificateLoaded, Event
from undertone_sidecar.tls import ServerCertificates, TlsFiles


def write(files: TlsFiles, certificate: trustme.LeafCert) -> None:
    files.certificate.write_bytes(certificate.cert_chain_pems[0].bytes())
    files.key.write_bytes(certificate.private_key_pem.bytes())


async def test_an_error_of_the_machine_does_not_end_the_reloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, authority = TlsFiles(tmp_path / "tls.crt", tmp_path / "tls.key"), trustme.CA()
    write(files, authority.issue_cert("localhost"))
    loaded: asyncio.Queue[Event] = asyncio.Queue()
    certificates = ServerCertificates(files, poll_seconds=0.001, listener=loaded.put_nowait)
    assert isinstance(await loaded.get(), CertificateLoaded)
    errors = [RuntimeError("can't start new thread")]
    to_thread = asyncio.to_thread

    async def without_threads_at_first(function: Callable[..., Any], *arguments: Any) -> Any:
        if errors:
            raise errors.pop()
        return await to_thread(function, *arguments)

    monkeypatch.setattr("undertone_sidecar.tls.asyncio.to_thread", without_threads_at_first)
    write(files, authority.issue_cert("localhost"))
    watching = asyncio.create_task(certificates.watch())
    async with asyncio.timeout(60):
        assert isinstance(await loaded.get(), CertificateLoaded)
    assert errors == []
    watching.cancel()


def connect(caller: ssl.SSLContext, server: ssl.SSLContext, session: ssl.SSLSession | None = None) -> ssl.SSLObject:
    """The caller's side of a connection in memory. Raises SSLError."""
    to_caller, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        caller.wrap_bio(to_caller, to_server, server_hostname="localhost", session=session),
        server.wrap_bio(to_server, to_caller, server_side=True),
    ]
    unfinished = list(sides)
    while unfinished:
        side = unfinished.pop(0)
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            unfinished.append(side)
    for sender, receiver in (sides, sides[::-1]):
        sender.write(b"x")
        receiver.read(1)
    return sides[0]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_caller_cannot_resume_its_session_after_the_ca_has_changed(tmp_path: Path, version: ssl.TLSVersion) -> None:
    authority, old, new = trustme.CA(), trustme.CA(), trustme.CA()
    files = TlsFiles(tmp_path / "tls.crt", tmp_path / "tls.key", tmp_path / "ca.crt")
    write(files, authority.issue_cert("localhost"))
    (tmp_path / "ca.crt").write_bytes(old.cert_pem.bytes())
    certificates = ServerCertificates(files, poll_seconds=1)
    caller = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    caller.maximum_version = version
    authority.configure_trust(caller)
    old.issue_cert("reader.example").configure_cert(caller)
    session = connect(caller, certificates.context()).session
    assert connect(caller, certificates.context(), session).session_reused
    (tmp_path / "ca.crt").write_bytes(new.cert_pem.bytes())
    await certificates.reload()
    with pytest.raises(ssl.SSLError):
        connect(caller, certificates.context(), session)
