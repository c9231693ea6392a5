"""The reload of certificate files, with errors of the machine."""

import asyncio
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
