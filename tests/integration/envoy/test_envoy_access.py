"""Who may call: API keys, tokens, identities of callers, and limits for each caller."""

import asyncio
import http.server
import json
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import grpc
import pytest
import trustme
from grpc_health.v1 import health_pb2, health_pb2_grpc
from undertone_protos.v1 import classifier_pb2, classifier_pb2_grpc

from tests.integration.support.callers import Stub
from tests.integration.support.envoy import Answer, Envoy, EnvoyLauncher, request
from tests.integration.support.processes import TIMEOUT_SECONDS
from tests.integration.support.scripted_pod import Context, ScriptedPod
from tests.integration.support.tokens import TokenIssuer

READER: Final = "reader-key-0123456789"
JOBS: Final = "jobs-key-0123456789"
OLDER: Final = "jobs-older-key-012345"
SECRET: Final = {
    "api-keys/reader": READER.encode(),
    "api-keys/jobs": f"{JOBS}\n{OLDER}\n".encode(),
    "api-keys/quotes": b'quote-key-"0123456789',
    "api-keys/short": b"short",
    "api-keys/thief": READER.encode(),
}
API_KEY: Final = {"type": "apiKey", "apiKey": {"secretName": "keys"}}
CALLER: Final = "x-undertone-caller"
UNAUTHENTICATED: Final = grpc.StatusCode.UNAUTHENTICATED
RESOURCE_EXHAUSTED: Final = grpc.StatusCode.RESOURCE_EXHAUSTED

Metadata = tuple[tuple[str, str], ...]


class Upstream(ScriptedPod):
    """A pod that keeps the metadata of calls."""

    def __init__(self) -> None:
        super().__init__(self._record)
        self.metadata: list[dict[str, str]] = []

    async def _record(self, _: classifier_pb2.ClassifyRequest, context: Context) -> classifier_pb2.ClassifyResponse:
        self.metadata.append({str(key): str(value) for key, value in context.invocation_metadata() or ()})
        return classifier_pb2.ClassifyResponse(label="joy")

    @property
    def callers(self) -> list[str]:
        """The identities of the callers so far."""
        return [metadata[CALLER] for metadata in self.metadata]


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream() as pod:
        yield pod


async def started(
    launch: EnvoyLauncher, upstream: Upstream, *, mounts: Mapping[str, bytes] | None = None, **values: Any
) -> Envoy:
    """An Envoy that calls the pod."""
    # The pod answers health checks in this thread.
    others = {"networkPolicy": {"enabled": False}}
    envoy = await asyncio.to_thread(lambda: launch.envoy([upstream.port], mounts=mounts, others=others, **values))
    await asyncio.to_thread(envoy.until_used, [upstream.port])
    return envoy


async def code(envoy: Envoy, *metadata: tuple[str, str], channel: grpc.aio.Channel | None = None) -> grpc.StatusCode:
    """The status of a call."""
    async with channel or grpc.aio.insecure_channel(envoy.target) as connected:
        stub: Stub = classifier_pb2_grpc.ClassifierStub(connected)
        call = stub.Classify(classifier_pb2.ClassifyRequest(text="the rain"), metadata=metadata, timeout=TIMEOUT_SECONDS)
        return await call.code()


async def post(envoy: Envoy, **headers: str) -> Answer:
    body = json.dumps({"text": "the rain"}).encode()
    path = "/v1/paragraphs:classify"
    return await asyncio.to_thread(lambda: request(envoy.api, "POST", path, body, Content_Type="application/json", **headers))


async def health(envoy: Envoy) -> int:
    async with grpc.aio.insecure_channel(envoy.target) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        reply = await check(health_pb2.HealthCheckRequest(service="undertone.v1.Classifier"), timeout=TIMEOUT_SECONDS)
        return int(reply.status)


async def test_only_callers_with_a_current_api_key_are_answered(launch_envoy: EnvoyLauncher, upstream: Upstream) -> None:
    envoy = await started(launch_envoy, upstream, mounts=SECRET, authentication=API_KEY)
    for key in (None, "unknown-key-0123456789", "short", 'quote-key-"0123456789'):
        metadata: Metadata = () if key is None else (("x-api-key", key),)
        assert await code(envoy, *metadata) == UNAUTHENTICATED
    refused = await post(envoy)
    assert (refused.status, refused.json["code"], refused.headers["content-type"]) == (401, 16, "application/json")
    assert await health(envoy) == health_pb2.HealthCheckResponse.SERVING
    assert not upstream.metadata

    for key in (READER, JOBS, OLDER):
        assert await code(envoy, ("x-api-key", key), (CALLER, "jobs")) == grpc.StatusCode.OK
    assert (await post(envoy, X_Api_Key=READER, X_Undertone_Caller="jobs")).status == 200
    assert upstream.callers == ["reader", "jobs", "jobs", "reader"]
    assert not any("x-api-key" in metadata for metadata in upstream.metadata)

    envoy.remount({"api-keys/reader": b"renewed-reader-key-01"})
    reloads = "extension_config_discovery.http_filter.undertone.authentication.config_reload"
    await asyncio.to_thread(envoy.until, lambda: envoy.statistic(reloads) == 2, "Envoy has the changed keys")
    assert await code(envoy, ("x-api-key", "renewed-reader-key-01")) == grpc.StatusCode.OK
    assert await code(envoy, ("x-api-key", READER)) == UNAUTHENTICATED
    assert await code(envoy, ("x-api-key", JOBS)) == UNAUTHENTICATED

    config = request(envoy.admin, "GET", "/config_dump?include_eds").body.decode()
    for key in (READER, JOBS, OLDER, "renewed-reader-key-01", 'quote-key-"0123456789', "unknown-key-0123456789"):
        assert key not in envoy.log
        assert key not in config
    assert "line 1 of the caller quotes is ignored: use a key of 16 to 256 letters" in envoy.log
    assert "line 1 of the caller thief is ignored: the caller reader has the same key" in envoy.log


@pytest.fixture(scope="module")
def issuer() -> TokenIssuer:
    return TokenIssuer("https://issuer.example")


def jwt(issuer: str = "https://issuer.example", **jwks: object) -> dict[str, object]:
    return {"type": "jwt", "jwt": {"issuer": issuer, "audiences": ["undertone", "other"], "jwks": jwks}}


def bearer(token: str) -> tuple[str, str]:
    return ("authorization", f"Bearer {token}")


async def test_only_callers_with_a_valid_token_are_answered(
    launch_envoy: EnvoyLauncher, upstream: Upstream, issuer: TokenIssuer
) -> None:
    envoy = await started(
        launch_envoy, upstream, mounts={"jwks/jwks.json": issuer.key_set}, authentication=jwt(configMapName="keys")
    )
    stranger = TokenIssuer("https://issuer.example")
    invalid = {
        "signature": stranger.token(),
        "issuer": issuer.token(iss="https://other.example"),
        "expired": issuer.token(seconds=-3600),
        "not yet valid": issuer.token(nbf=4_000_000_000),
        "no expiry": issuer.token(seconds=None),
        "malformed": "a.b.c",
    }
    for token in invalid.values():
        assert await code(envoy, bearer(token)) == UNAUTHENTICATED
    assert await code(envoy) == UNAUTHENTICATED
    assert await code(envoy, bearer(issuer.token(aud="billing"))) == grpc.StatusCode.PERMISSION_DENIED
    refused = await post(envoy, Authorization=f"Bearer {invalid['expired']}")
    assert (refused.status, refused.json) == (401, {"code": 16, "message": "Jwt is expired", "details": []})
    assert await health(envoy) == health_pb2.HealthCheckResponse.SERVING
    assert not upstream.metadata

    valid = issuer.token()
    assert await code(envoy, bearer(valid), (CALLER, "jobs")) == grpc.StatusCode.OK
    assert (await post(envoy, Authorization=f"Bearer {issuer.token(sub='jobs')}")).status == 200
    # Without the claim, the address is the identity.
    assert await code(envoy, bearer(issuer.token(sub=None)), (CALLER, "jobs")) == grpc.StatusCode.OK
    assert upstream.callers == ["reader", "jobs", "127.0.0.1/32"]
    assert not any("authorization" in metadata for metadata in upstream.metadata)

    for token in (valid, *invalid.values()):
        assert token not in envoy.log


@contextmanager
def key_server(key_set: bytes) -> Iterator[str]:
    """The URL of an HTTP server with a JSON Web Key Set."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", str(len(key_set)))
            self.end_headers()
            self.wfile.write(key_set)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/jwks.json"
        finally:
            server.shutdown()
            thread.join()


async def test_the_keys_of_tokens_are_downloaded_before_the_first_call(
    launch_envoy: EnvoyLauncher, upstream: Upstream, issuer: TokenIssuer
) -> None:
    with key_server(issuer.key_set) as url:
        envoy = await started(launch_envoy, upstream, authentication=jwt(url=url, refreshSeconds=1))
        assert await code(envoy, bearer(issuer.token())) == grpc.StatusCode.OK
        assert await code(envoy, bearer(TokenIssuer("https://issuer.example").token())) == UNAUTHENTICATED
    # The last keys stay valid while the server is down.
    failed = "http.api.jwt_authn.jwks_fetch_failed"
    await asyncio.to_thread(envoy.until, lambda: envoy.statistic(failed) > 0, "a download has failed")
    assert await code(envoy, bearer(issuer.token())) == grpc.StatusCode.OK


async def test_a_caller_over_its_limit_is_refused_and_other_callers_are_answered(
    launch_envoy: EnvoyLauncher, upstream: Upstream
) -> None:
    limit = {"perCaller": {"callsPerSecond": 1, "burst": 3, "mostCallers": 100}}
    envoy = await started(launch_envoy, upstream, callers={"identity": "header", "header": "x-tenant"}, rateLimit=limit)
    greedy = Counter([await code(envoy, ("x-tenant", "greedy")) for _ in range(20)])
    assert greedy[RESOURCE_EXHAUSTED]
    assert set(greedy) == {RESOURCE_EXHAUSTED, grpc.StatusCode.OK}
    refused = await post(envoy, X_Tenant="greedy")
    assert (refused.status, refused.json["code"], refused.headers["retry-after"]) == (429, 8, "1")
    assert [await code(envoy, ("x-tenant", f"tenant-{number}")) for number in range(5)] == [grpc.StatusCode.OK] * 5
    # Callers without the header share the limit of their address.
    assert await code(envoy) == grpc.StatusCode.OK
    assert upstream.callers[-6:] == [*(f"tenant-{number}" for number in range(5)), "127.0.0.1/32"]
    # A long name does not use the memory of the table of callers.
    assert await code(envoy, ("x-tenant", "t" * 5000)) == grpc.StatusCode.OK
    assert upstream.callers[-1] == "t" * 128
    assert await health(envoy) == health_pb2.HealthCheckResponse.SERVING


async def test_a_refusal_tells_grpc_clients_when_to_retry(launch_envoy: EnvoyLauncher, upstream: Upstream) -> None:
    limit = {"perCaller": {"callsPerSecond": 1, "burst": 1}}
    envoy = await started(launch_envoy, upstream, rateLimit=limit)
    # The address is the identity, whatever the caller sends.
    forged = ((CALLER, "a"), ("x-forwarded-for", "192.0.2.7"))
    async with grpc.aio.insecure_channel(envoy.target) as channel:
        stub: Stub = classifier_pb2_grpc.ClassifierStub(channel)
        while (
            await (call := stub.Classify(classifier_pb2.ClassifyRequest(text="a"), metadata=forged)).code()
            == grpc.StatusCode.OK
        ):
            pass
        metadata = {**dict(await call.initial_metadata() or ()), **dict(await call.trailing_metadata() or ())}
    assert (await call.code(), metadata["grpc-retry-pushback-ms"]) == (RESOURCE_EXHAUSTED, "1000")
    assert set(upstream.callers) == {"127.0.0.1/32"}


async def test_callers_behind_a_trusted_proxy_are_told_apart_by_their_address(
    launch_envoy: EnvoyLauncher, upstream: Upstream
) -> None:
    envoy = await started(launch_envoy, upstream, callers={"trustedProxies": 1})
    for address in ("192.0.2.7", "198.51.100.1, 192.0.2.8", "2001:db8:1:2:3:4:5:6"):
        assert await code(envoy, ("x-forwarded-for", address)) == grpc.StatusCode.OK
    assert upstream.callers == ["192.0.2.7/32", "192.0.2.8/32", "2001:db8:1:2::/64"]


async def test_the_identity_is_the_name_in_the_client_certificate(launch_envoy: EnvoyLauncher, upstream: Upstream) -> None:
    authority = trustme.CA()
    server = authority.issue_cert("127.0.0.1")
    mounts = {
        "tls/tls.crt": b"".join(blob.bytes() for blob in server.cert_chain_pems),
        "tls/tls.key": server.private_key_pem.bytes(),
        "client-ca/ca.crt": authority.cert_pem.bytes(),
    }
    limit = {"perCaller": {"callsPerSecond": 1, "burst": 2}}
    tls = {"secretName": "any", "clientCASecretName": "other"}
    envoy = await started(launch_envoy, upstream, mounts=mounts, tls=tls, rateLimit=limit)
    for name in ("reader.example", "batch.example"):
        own = authority.issue_cert(name)
        chain = b"".join(blob.bytes() for blob in own.cert_chain_pems)
        credentials = grpc.ssl_channel_credentials(authority.cert_pem.bytes(), own.private_key_pem.bytes(), chain)
        codes = [
            await code(envoy, (CALLER, "other"), channel=grpc.aio.secure_channel(envoy.target, credentials)) for _ in range(8)
        ]
        assert (codes[0], RESOURCE_EXHAUSTED in codes) == (grpc.StatusCode.OK, True)
    assert list(dict.fromkeys(upstream.callers)) == ["reader.example", "batch.example"]


async def test_health_and_reflection_can_be_disabled(launch_envoy: EnvoyLauncher, upstream: Upstream) -> None:
    envoy = await started(launch_envoy, upstream, health=False, reflection=False)
    assert await code(envoy) == grpc.StatusCode.OK
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await health(envoy)
    assert refusal.value.code() == grpc.StatusCode.UNIMPLEMENTED
    async with grpc.aio.insecure_channel(envoy.target) as channel:
        # One request: gRPC may report INTERNAL if the refusal arrives while it sends several.
        reflect: Any = channel.unary_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
        assert await reflect(b"", timeout=TIMEOUT_SECONDS).code() == grpc.StatusCode.UNIMPLEMENTED
