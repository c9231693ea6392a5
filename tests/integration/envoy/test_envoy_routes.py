"""Envoy answers requests that are not calls of the API: content types, HTTP methods and paths."""

import asyncio
import json

import pytest

from tests.integration.envoy.conftest import Fleet
from tests.integration.support.callers import Stub, ask
from tests.integration.support.envoy import Envoy, request
from tests.integration.support.envoy_requests import FRAME, JSON, JSON_CLASSIFY, MODEL, UNIMPLEMENTED, answered_by, exchange
from tests.integration.support.hostile_requests import CLASSIFY
from tests.integration.support.http2 import Http2Connection, grpc_headers


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/json", "application/grpc-web+proto", "application/grpcx", None]
)
@pytest.mark.parametrize("path", [CLASSIFY, "/grpc.health.v1.Health/Check"])
def test_only_grpc_is_sent_to_the_pods(envoy: Envoy, fleet: Fleet, path: str, content_type: str | None) -> None:
    with answered_by(envoy, fleet.sidecars, pods=0):
        reply = exchange(envoy, grpc_headers(path, content_type=content_type), FRAME)
    assert (reply.status, reply.headers["content-type"]) == (415, "application/json")
    status = json.loads(reply.body)
    assert (status["code"], status["message"]) == (UNIMPLEMENTED, "the content type is not supported: send application/grpc")


@pytest.mark.parametrize("content_type", ["application/grpc+json", "application/grpc+thrift"])
def test_other_encodings_of_grpc_are_refused_with_a_grpc_status(envoy: Envoy, fleet: Fleet, content_type: str) -> None:
    with answered_by(envoy, fleet.sidecars, pods=0):
        reply = exchange(envoy, grpc_headers(content_type=content_type), FRAME)
    assert (reply.status, reply.grpc_status) == (200, UNIMPLEMENTED)


@pytest.mark.parametrize("content_type", ["application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8"])
def test_grpc_is_answered_by_a_pod(envoy: Envoy, fleet: Fleet, content_type: str) -> None:
    with answered_by(envoy, fleet.sidecars, pods=1):
        assert exchange(envoy, grpc_headers(content_type=content_type), FRAME).grpc_status == 0


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "application/json", "Application/JSON"])
def test_json_is_answered_by_a_pod(envoy: Envoy, fleet: Fleet, content_type: str) -> None:
    with answered_by(envoy, fleet.sidecars, pods=1):
        assert request(envoy.api, "POST", JSON_CLASSIFY, JSON, Content_Type=content_type).status == 200


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", None])
def test_json_requires_its_content_type(envoy: Envoy, fleet: Fleet, content_type: str | None) -> None:
    with answered_by(envoy, fleet.sidecars, pods=0):
        reply = exchange(envoy, grpc_headers(JSON_CLASSIFY, content_type=content_type), JSON)
    assert reply.status == 415
    assert json.loads(reply.body)["message"] == "the content type is not supported: send application/json"


@pytest.mark.parametrize("method", ["GET", "PUT", "OPTIONS", "HEAD", "DELETE", "PATCH"])
@pytest.mark.parametrize(("path", "allowed"), [(CLASSIFY, "POST"), (JSON_CLASSIFY, "POST"), (MODEL, "GET")])
def test_other_http_methods_are_refused(envoy: Envoy, fleet: Fleet, path: str, allowed: str, method: str) -> None:
    method = "POST" if method == allowed else method
    with answered_by(envoy, fleet.sidecars, pods=0):
        replies = [exchange(envoy, grpc_headers(path, _method=method, content_type=None), *data) for data in ((), (FRAME,))]
        answer = request(envoy.api, method, path)
    for reply in replies:
        assert (reply.status, reply.headers["allow"]) == (405, allowed)
    assert (answer.status, answer.headers["allow"]) == (405, allowed)


def test_a_grpc_request_with_another_http_method_is_refused_with_a_grpc_status(envoy: Envoy, fleet: Fleet) -> None:
    with answered_by(envoy, fleet.sidecars, pods=0):
        reply = exchange(envoy, grpc_headers(_method="PUT"), FRAME)
    assert (reply.status, reply.grpc_status, reply.headers["allow"]) == (200, UNIMPLEMENTED, "POST")


@pytest.mark.parametrize(
    "path",
    [
        f"{CLASSIFY}/",
        "/undertone.v1.Classifier/",
        "/undertone.v1.Classifier/classify",
        "/inference.GRPCInferenceService/ModelConfig",
        "/grpc.health.v1.Health/Sleep",
    ],
)
def test_unknown_paths_are_refused(envoy: Envoy, fleet: Fleet, path: str) -> None:
    with answered_by(envoy, fleet.sidecars, pods=0):
        assert exchange(envoy, grpc_headers(path), FRAME).grpc_status == UNIMPLEMENTED
        assert exchange(envoy, grpc_headers(path, content_type="application/json"), JSON).status == 404


def test_upgrades_and_grpc_over_http_1_are_refused(envoy: Envoy, fleet: Fleet) -> None:
    with answered_by(envoy, fleet.sidecars, pods=0):
        for path in (CLASSIFY, MODEL):
            answer = request(envoy.api, "GET", path, Connection="Upgrade", Upgrade="websocket")
            assert (answer.status, "WebSocket" in answer.json["message"]) == (403, True)
        answer = request(envoy.api, "POST", CLASSIFY, FRAME, Content_Type="application/grpc")
        assert (answer.headers["grpc-status"], answer.headers["grpc-message"]) == ("12", "gRPC requires HTTP/2")
        assert request(envoy.api, "CONNECT", "example:1").status == 403


async def test_neighbours_succeed_beside_requests_that_are_not_grpc(envoy: Envoy, stub: Stub, fleet: Fleet) -> None:
    """Envoy retried such requests, counted their failures against the pods and ejected them."""
    headers = [
        grpc_headers(_method="GET"),
        grpc_headers(_method="PUT", content_type="text/plain"),
        grpc_headers(content_type="text/plain"),
        grpc_headers(),
    ]

    def attack() -> None:
        with Http2Connection(envoy.api) as connection:
            for number in range(200):
                connection.exchange(headers[number % len(headers)])

    ejections = envoy.ejections()
    attacking = asyncio.create_task(asyncio.to_thread(attack))
    while not attacking.done():
        assert (await ask(stub, "the rain")).label
    await attacking
    assert envoy.used() == set(fleet.sidecars)
    assert envoy.ejections() == ejections
