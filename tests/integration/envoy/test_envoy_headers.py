"""Invalid headers affect no other caller, and only known headers reach a pod."""

import json

import pytest
from undertone_protos.v1 import classifier_pb2

from tests.integration.envoy.conftest import Fleet
from tests.integration.support.envoy import Envoy, EnvoyLauncher
from tests.integration.support.envoy_requests import FRAME, INVALID_ARGUMENT, JSON, JSON_CLASSIFY, answered_by, exchange
from tests.integration.support.http2 import Http2Connection, grpc_headers
from tests.integration.support.scripted_pod import Context, ScriptedPod, envoy_for


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("grpc-encoding", "zstd"),
        ("x-trace-bin", "%%%"),
        ("grpc-trace-bin", "not base64!"),
        ("grpc-tags-bin", "?"),
        ("grpc-previous-rpc-attempts", "many"),
        ("grpc-accept-encoding", "\xff" * 50),
        ("x-large", "y" * 9000),
        ("undertone-lane", "l" * 100),
        ("traceparent", "0" * 300),
        ("te", "gzip"),
        ("user-agent", "\xe9" * 4000),
    ],
)
async def test_an_invalid_header_of_one_caller_does_not_affect_others(
    envoy: Envoy, fleet: Fleet, name: str, value: str
) -> None:
    """gRPC kept invalid headers in the table of the connection that Envoy's callers share."""
    good = {"grpc-encoding": "identity", "te": "trailers", "undertone-lane": "batch"}
    valid = good.get(name, "YWJj")
    envoy.until_used(fleet.sidecars)
    with Http2Connection(envoy.api) as caller, Http2Connection(envoy.api) as neighbour:
        for _ in range(8):  # at least one call for each pod
            caller.exchange([*grpc_headers(), (name, value)], FRAME)
        neighbours = [neighbour.exchange([*grpc_headers(te=None), (name, valid)], FRAME).grpc_status for _ in range(8)]
    assert neighbours == [0] * 8
    assert envoy.used() == set(fleet.sidecars)


def test_an_invalid_request_ends_its_own_stream_only(envoy: Envoy, fleet: Fleet) -> None:
    envoy.until_used(fleet.sidecars)
    with Http2Connection(envoy.api) as connection:
        waiting = connection.open(grpc_headers())
        refused = connection.exchange(grpc_headers(te="gzip", **{"x-a": "b\x00"}), FRAME)
        assert refused.reset is not None
        connection.send(waiting, FRAME, end=True)
        (reply,) = connection.until_ended([waiting])
    assert reply.grpc_status == 0


async def test_only_known_headers_are_forwarded(launch_envoy: EnvoyLauncher) -> None:
    forwarded: list[str] = []

    async def record(_: classifier_pb2.ClassifyRequest, context: Context) -> classifier_pb2.ClassifyResponse:
        forwarded.extend(key for key, _ in context.invocation_metadata() or ())
        return classifier_pb2.ClassifyResponse()

    trace = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    known = (trace, ("tracestate", "a=1"), ("undertone-lane", "batch"))
    async with ScriptedPod(record) as pod, envoy_for(launch_envoy, [pod]) as (_, stub):
        request = classifier_pb2.ClassifyRequest(text="the rain")
        await stub.Classify(request, metadata=(*known, ("cookie", "c"), ("x-bin", b"\xff")))
    assert {"traceparent", "tracestate", "undertone-lane"} <= set(forwarded)
    assert not {"cookie", "x-bin", "user-agent", "x-forwarded-for"} & set(forwarded)


@pytest.mark.parametrize("timeout", ["abc", "123456789S", "-1S"])
def test_an_invalid_timeout_is_refused(envoy: Envoy, fleet: Fleet, timeout: str) -> None:
    with answered_by(envoy, fleet.sidecars, pods=0):
        reply = exchange(envoy, grpc_headers(JSON_CLASSIFY, content_type="application/json", grpc_timeout=timeout), JSON)
        call = exchange(envoy, grpc_headers(grpc_timeout=timeout), FRAME)
    assert (reply.status, "grpc-timeout" in json.loads(reply.body)["message"]) == (400, True)
    assert (call.grpc_status, "grpc-timeout" in call.grpc_message) == (INVALID_ARGUMENT, True)
