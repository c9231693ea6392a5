"""TLS and mTLS: only valid certificates are accepted, and renewed ones are loaded."""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import grpc
import pytest
import trustme
from undertone_bench.processes import free_ports
from undertone_protos.v1 import classifier_pb2_grpc
from undertone_sidecar.testing import write_version

from tests.integration.envoy.conftest import Fleet
from tests.integration.support.callers import Stub, ask
from tests.integration.support.envoy import Envoy, EnvoyLauncher

SERVER: Final = "127.0.0.1"

TLS_FLAGS: Final = {"cert": "tls.crt", "key": "tls.key", "client-ca": "ca.crt"}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def secret(certificate: trustme.LeafCert) -> Mapping[str, bytes]:
    """Files of a Secret of the type kubernetes.io/tls, at the mount path of the chart."""
    return {
        "tls/tls.crt": b"".join(blob.bytes() for blob in certificate.cert_chain_pems),
        "tls/tls.key": certificate.private_key_pem.bytes(),
    }


def served_certificate(envoy: Envoy) -> bytes:
    """The current certificate of the server."""
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((SERVER, envoy.api)))


async def is_answered(envoy: Envoy, authority: trustme.CA, own: trustme.LeafCert | None = None) -> bool:
    """Whether a call succeeds that trusts the authority and has the client certificate `own`."""
    credentials = grpc.ssl_channel_credentials(
        authority.cert_pem.bytes(),
        own.private_key_pem.bytes() if own else None,
        b"".join(blob.bytes() for blob in own.cert_chain_pems) if own else None,
    )
    async with grpc.aio.secure_channel(envoy.target, credentials) as channel:
        stub: Stub = classifier_pb2_grpc.ClassifierStub(channel)
        try:
            return bool((await ask(stub, "the rain")).label)
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                raise
            return False


async def test_the_server_has_its_certificate_and_loads_a_renewed_one(
    launch_envoy: EnvoyLauncher, fleet: Fleet, authority: trustme.CA
) -> None:
    own = authority.issue_cert(SERVER)
    envoy = launch_envoy.envoy(fleet.sidecars, mounts=secret(own), tls={"secretName": "any"})
    envoy.until_used(fleet.sidecars)
    assert await is_answered(envoy, authority)
    assert not await is_answered(envoy, trustme.CA())
    async with grpc.aio.insecure_channel(envoy.target) as channel:
        plain: Stub = classifier_pb2_grpc.ClassifierStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await ask(plain, "the rain")
        assert refusal.value.code() == grpc.StatusCode.UNAVAILABLE
    renewed = authority.issue_cert(SERVER)
    envoy.remount(secret(renewed))
    expected = ssl.PEM_cert_to_DER_cert(renewed.cert_chain_pems[0].bytes().decode())
    envoy.until(lambda: served_certificate(envoy) == expected, "the server has the renewed certificate")


async def test_mtls_accepts_only_callers_with_an_allowed_certificate(
    launch_envoy: EnvoyLauncher, fleet: Fleet, authority: trustme.CA
) -> None:
    callers = trustme.CA()
    mounts = {**secret(authority.issue_cert(SERVER)), "client-ca/ca.crt": callers.cert_pem.bytes()}
    tls = {"secretName": "any", "clientCASecretName": "other", "clientNames": ["reader.example", "spiffe://example/batch"]}
    envoy = launch_envoy.envoy(fleet.sidecars, mounts=mounts, tls=tls)
    envoy.until_used(fleet.sidecars)
    assert await is_answered(envoy, authority, callers.issue_cert("reader.example"))
    assert not await is_answered(envoy, authority)
    assert not await is_answered(envoy, authority, callers.issue_cert("stranger.example"))
    assert not await is_answered(envoy, authority, authority.issue_cert("reader.example"))


async def test_calls_to_the_sidecars_are_encrypted_and_authenticated_in_both_directions(
    launch_envoy: EnvoyLauncher, fleet: Fleet, authority: trustme.CA, tmp_path: Path
) -> None:
    base, clients, name = tmp_path / "emotions", trustme.CA(), "undertone-inference.test.svc"
    write_version(base, 1)
    own, envoy_own = authority.issue_cert(name), clients.issue_cert("envoy.example")
    for file, content in {**secret(own), "tls/ca.crt": clients.cert_pem.bytes()}.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_bytes(content)
    flags = (f"--tls-{flag}={tmp_path / 'tls' / file}" for flag, file in TLS_FLAGS.items())
    port, metrics = free_ports(2)
    sidecar = launch_envoy.sidecar(
        base, fleet.model_server.target, f"--port={port}", f"--metrics-port={metrics}", "--health-port=0", *flags
    ).until_serving()
    mounts = {f"sidecar-client/{file[4:]}": content for file, content in secret(envoy_own).items()}
    mounts["sidecar-ca/ca.crt"] = authority.cert_pem.bytes()
    values = {"secretName": "a", "clientCASecretName": "b", "envoySecretName": "c", "serverName": name}
    envoy = launch_envoy.envoy([port], mounts=mounts, others={"sidecar": {"tls": values}})
    envoy.until_used([port])
    async with grpc.aio.insecure_channel(envoy.target) as channel:
        stub: Stub = classifier_pb2_grpc.ClassifierStub(channel)
        assert (await ask(stub, "the rain")).label
    stranger = launch_envoy.envoy([port], mounts=mounts, others={"sidecar": {"tls": {**values, "serverName": "other.svc"}}})
    stranger.until(
        lambda: stranger.statistic("cluster.sidecars.ssl.fail_verify_san") > 0, "Envoy refuses the name of the certificate"
    )
    assert stranger.used() == set()
    assert sidecar.health() == 1
