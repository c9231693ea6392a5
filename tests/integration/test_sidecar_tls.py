"""TLS of the sidecar itself: certificates of server and clients, reload, and wrong files."""

import asyncio
import contextlib
import datetime
import http.client
import os
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
import trustme
from undertone_protos.v1 import classifier_pb2_grpc
from undertone_sidecar.testing import FakeTFServing, write_version

from tests.integration.support.callers import Stub, ask, under_load
from tests.integration.support.processes import ENVIRONMENT, TIMEOUT_SECONDS, Launcher, Sidecar, command, until

EXPIRED = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True, slots=True)
class Files:
    """Files as in a volume of a Secret of the type kubernetes.io/tls."""

    folder: Path

    @property
    def flags(self) -> tuple[str, ...]:
        return f"--tls-cert={self.folder / 'tls.crt'}", f"--tls-key={self.folder / 'tls.key'}"

    def write(self, **contents: bytes) -> None:
        """Replaces files: `crt` is tls.crt, `key` is tls.key."""
        for suffix, content in contents.items():
            fresh = self.folder / f"fresh.{suffix}"
            fresh.write_bytes(content)
            fresh.rename(self.folder / f"tls.{suffix}")

    def issue(self, certificate: trustme.LeafCert) -> None:
        self.write(**pem(certificate))


def pem(certificate: trustme.LeafCert) -> Mapping[str, bytes]:
    chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
    return {"crt": chain, "key": certificate.private_key_pem.bytes()}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def files(authority: trustme.CA, tmp_path: Path) -> Files:
    files = Files(tmp_path / "tls")
    files.folder.mkdir()
    files.issue(authority.issue_cert("localhost"))
    return files


@pytest.fixture
async def base_and_target(tmp_path: Path) -> AsyncIterator[tuple[Path, str]]:
    """A model's folder, and a fake model server."""
    write_version(tmp_path / "emotions", 1)
    serving = FakeTFServing("emotions", 1)
    yield tmp_path / "emotions", f"localhost:{await serving.start('localhost:0')}"
    await serving.stop()


async def start(launch: Launcher, base_and_target: tuple[Path, str], *flags: str) -> Sidecar:
    sidecar = launch.sidecar(*base_and_target, "--chunk-overlap=8", "--health-port=0", *flags)
    await asyncio.to_thread(sidecar.until_listening)

    def is_serving() -> bool:
        return sidecar.metric("undertone_ready") == 1

    await asyncio.to_thread(sidecar.until, is_serving, "the sidecar is ready")
    return sidecar


@contextlib.asynccontextmanager
async def connected(sidecar: Sidecar, authority: trustme.CA, own: trustme.LeafCert | None = None) -> AsyncIterator[Stub]:
    """A stub that trusts the authority and has the client certificate `own`."""
    client = pem(own) if own else {}
    credentials = grpc.ssl_channel_credentials(authority.cert_pem.bytes(), client.get("key"), client.get("crt"))
    async with grpc.aio.secure_channel(sidecar.target, credentials) as channel:
        yield classifier_pb2_grpc.ClassifierStub(channel)


async def code_of(stub: Stub) -> str:
    try:
        return "OK" if (await ask(stub, "the rain")).label else ""
    except grpc.aio.AioRpcError as error:
        return error.code().name


def served_certificates(sidecar: Sidecar) -> set[bytes]:
    """The certificates of the gRPC port and the HTTP port."""
    grpc_port = int(sidecar.target.rpartition(":")[2])
    return {
        ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("localhost", port))) for port in (grpc_port, sidecar.http_port)
    }


def https_status(sidecar: Sidecar, authority: trustme.CA, own: trustme.LeafCert | None = None) -> int | None:
    """The status of a call over HTTPS. None if the connection fails."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    if own:
        own.configure_cert(context)
    connection = http.client.HTTPSConnection("localhost", sidecar.http_port, timeout=TIMEOUT_SECONDS, context=context)
    with contextlib.closing(connection):
        try:
            connection.request("GET", "/v1/model")
            return connection.getresponse().status
        except (ssl.SSLError, ConnectionError):
            return None


async def test_calls_are_encrypted_and_callers_without_tls_or_without_trust_are_refused(
    launch: Launcher, base_and_target: tuple[Path, str], files: Files, authority: trustme.CA
) -> None:
    sidecar = await start(launch, base_and_target, *files.flags)
    async with connected(sidecar, authority) as stub:
        assert await code_of(stub) == "OK"
    async with connected(sidecar, trustme.CA()) as stub:
        assert await code_of(stub) == "UNAVAILABLE"
    async with sidecar.connected() as plain:
        assert await code_of(plain) == "UNAVAILABLE"
    assert (https_status(sidecar, authority), https_status(sidecar, trustme.CA())) == (200, None)
    host, _, port = sidecar.target.rpartition(":")
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.deprecated_call():
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with socket.create_connection((host, int(port))) as connection, pytest.raises((ssl.SSLError, ConnectionError)):
        old.wrap_socket(connection)
    # The port for probes has the health service only, without TLS.
    assert sidecar.health("") == sidecar.health("liveness") == 1
    async with grpc.aio.insecure_channel(sidecar.health_target) as channel:
        stub = classifier_pb2_grpc.ClassifierStub(channel)
        assert await code_of(stub) == "UNIMPLEMENTED"
    expiry = sidecar.metric("undertone_tls_certificate_expiry_timestamp_seconds")
    assert expiry > datetime.datetime.now(datetime.UTC).timestamp()


async def test_mtls_refuses_callers_without_a_certificate_of_the_ca(
    launch: Launcher, base_and_target: tuple[Path, str], files: Files, authority: trustme.CA, tmp_path: Path
) -> None:
    callers = trustme.CA()
    (tmp_path / "ca.crt").write_bytes(callers.cert_pem.bytes())
    sidecar = await start(launch, base_and_target, *files.flags, f"--tls-client-ca={tmp_path / 'ca.crt'}")
    async with connected(sidecar, authority, callers.issue_cert("reader.example")) as stub:
        assert await code_of(stub) == "OK"
    for own in (None, authority.issue_cert("reader.example")):
        async with connected(sidecar, authority, own) as stub:
            assert await code_of(stub) == "UNAVAILABLE"
        assert https_status(sidecar, authority, own) is None
    assert https_status(sidecar, authority, callers.issue_cert("reader.example")) == 200
    # The CA changes.
    (tmp_path / "ca.crt").write_bytes(authority.cert_pem.bytes())
    await asyncio.to_thread(until, lambda: "TLS files reloaded" in sidecar.log, "the files are loaded")
    assert https_status(sidecar, authority, callers.issue_cert("reader.example")) is None
    assert https_status(sidecar, authority, authority.issue_cert("reader.example")) == 200


async def test_renewed_files_are_loaded_under_load_and_invalid_ones_are_not(
    launch: Launcher, base_and_target: tuple[Path, str], files: Files, authority: trustme.CA
) -> None:
    sidecar = await start(launch, base_and_target, *files.flags)
    first = served_certificates(sidecar)
    assert len(first) == 1
    async with connected(sidecar, authority) as stub, under_load(stub, ["the rain", "home"], callers=4) as load:
        for wrong, message in (
            (pem(trustme.CA().issue_cert("localhost"))["key"], "does not belong to the certificate"),
            (b"no key", "are not a certificate and its private key"),
        ):
            files.write(key=wrong)
            await asyncio.to_thread(until, lambda message=message: message in sidecar.log, "the file is refused")  # type: ignore[misc]
            assert served_certificates(sidecar) == first
        files.issue(authority.issue_cert("localhost", not_after=EXPIRED))
        await asyncio.to_thread(until, lambda: "certificate has expired" in sidecar.log, "the expired file is refused")
        renewed = authority.issue_cert("localhost")
        files.issue(renewed)
        expected = ssl.PEM_cert_to_DER_cert(renewed.cert_chain_pems[0].bytes().decode())
        await asyncio.to_thread(until, lambda: served_certificates(sidecar) == {expected}, "the renewed file is served")
        async with connected(sidecar, authority) as later:
            assert await code_of(later) == "OK"
        await load.more_replies(20)
    assert load.refusals == []
    assert sidecar.log.count("the previous ones stay in use") == 3


def test_files_that_cannot_be_used_stop_the_start_with_the_file_and_the_remedy(
    files: Files, authority: trustme.CA, tmp_path: Path
) -> None:
    write_version(tmp_path / "emotions", 1)
    certificate, key = (files.folder / name for name in ("tls.crt", "tls.key"))
    other, expired = trustme.CA().issue_cert("localhost"), authority.issue_cert("localhost", not_after=EXPIRED)
    (tmp_path / "other.key").write_bytes(pem(other)["key"])
    (tmp_path / "expired.crt").write_bytes(pem(expired)["crt"])
    (tmp_path / "expired.key").write_bytes(pem(expired)["key"])
    (tmp_path / "text").write_text("text")
    cases = [
        ([f"--tls-cert={certificate}"], "--tls-cert is set without --tls-key"),
        ([f"--tls-client-ca={certificate}"], "--tls-client-ca is set without --tls-cert"),
        ([f"--tls-cert={certificate}", f"--tls-key={tmp_path / 'other.key'}"], f"{tmp_path / 'other.key'} does not belong"),
        ([f"--tls-cert={tmp_path / 'text'}", f"--tls-key={key}"], f"{tmp_path / 'text'} and {key} are not a certificate"),
        ([f"--tls-cert={certificate}", f"--tls-key={tmp_path / 'none'}"], f"{tmp_path / 'none'} cannot be read"),
        ([f"--tls-cert={tmp_path / 'expired.crt'}", f"--tls-key={tmp_path / 'expired.key'}"], "certificate has expired"),
        ([*files.flags, f"--tls-client-ca={tmp_path / 'text'}"], f"{tmp_path / 'text'} has no CA certificate"),
    ]
    program = (command("undertone-sidecar"), f"--model-dir={tmp_path / 'emotions'}", "--port=0", "--metrics-port=off")
    running = [
        subprocess.Popen([*program, *flags], stderr=subprocess.PIPE, text=True, env=ENVIRONMENT | {"PATH": os.environ["PATH"]})
        for flags, _ in cases
    ]
    for process, (_, message) in zip(running, cases, strict=True):
        _, errors = process.communicate(timeout=TIMEOUT_SECONDS)
        assert message in errors
        assert "Traceback" not in errors
        assert process.returncode == 2
