"""Envoy answers invalid requests itself. They reach no pod and affect no other caller."""

import asyncio
import json
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from undertone_protos.v1 import classifier_pb2

from tests.integration.envoy.conftest import Fleet
from tests.integration.support.callers import Stub, ask
from tests.integration.support.envoy import Envoy, EnvoyLauncher, request
from tests.integration.support.http2 import Http2Connection, Reply, grpc_frame, grpc_headers
from tests.integration.support.scripted_pod import Context, ScriptedPod

CLASSIFY = "/undertone.v1.Classifier/Classify"
JSON_CLASSIFY = "/v1/paragraphs:classify"
JSON_BATCH = "/v1/paragraphs:classifyBatch"
MODEL = "/v1/model"
MESSAGE = classifier_pb2.ClassifyRequest(text="the rain").SerializeToString()
FRAME = grpc_frame(MESSAGE)
JSON = b'{"text": "the rain"}'

INVALID_ARGUMENT, UNIMPLEMENTED = 3, 12


def exchange(envoy: Envoy, headers: Iterable[tuple[str, str]], *data: bytes) -> Reply:
    """The reply to one request on a connection of its own."""
    with Http2Connection(envoy.api) as connection:
        return connection.exchange(list(headers), *data)


@contextmanager
def answered_by(envoy: Envoy, fleet: Fleet, *, pods: int) -> Iterator[None]:
    """Checks that this many requests reach a pod in the block, and that all pods stay in use."""
    envoy.until_used(fleet.sidecars)
    before = envoy.statistic("cluster.sidecars.upstream_rq_total")
    yield
    assert envoy.statistic("cluster.sidecars.upstream_rq_total") - before == pods
    assert envoy.used() == set(fleet.sidecars)


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/json", "application/grpc-web+proto", "application/grpcx", None]
)
@pytest.mark.parametrize("path", [CLASSIFY, "/grpc.health.v1.Health/Check"])
def test_only_grpc_is_sent_to_the_pods(envoy: Envoy, fleet: Fleet, path: str, content_type: str | None) -> None:
    with answered_by(envoy, fleet, pods=0):
        reply = exchange(envoy, grpc_headers(path, content_type=content_type), FRAME)
    assert (reply.status, reply.headers["content-type"]) == (415, "application/json")
    status = json.loads(reply.body)
    assert (status["code"], status["message"]) == (UNIMPLEMENTED, "the content type is not supported: send application/grpc")


@pytest.mark.parametrize("content_type", ["application/grpc+json", "application/grpc+thrift"])
def test_other_encodings_of_grpc_are_refused_with_a_grpc_status(envoy: Envoy, fleet: Fleet, content_type: str) -> None:
    with answered_by(envoy, fleet, pods=0):
        reply = exchange(envoy, grpc_headers(content_type=content_type), FRAME)
    assert (reply.status, reply.grpc_status) == (200, UNIMPLEMENTED)


@pytest.mark.parametrize("content_type", ["application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8"])
def test_grpc_is_answered_by_a_pod(envoy: Envoy, fleet: Fleet, content_type: str) -> None:
    with answered_by(envoy, fleet, pods=1):
        assert exchange(envoy, grpc_headers(content_type=content_type), FRAME).grpc_status == 0


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "application/json", "Application/JSON"])
def test_json_is_answered_by_a_pod(envoy: Envoy, fleet: Fleet, content_type: str) -> None:
    with answered_by(envoy, fleet, pods=1):
        assert request(envoy.api, "POST", JSON_CLASSIFY, JSON, Content_Type=content_type).status == 200


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", None])
def test_json_requires_its_content_type(envoy: Envoy, fleet: Fleet, content_type: str | None) -> None:
    with answered_by(envoy, fleet, pods=0):
        reply = exchange(envoy, grpc_headers(JSON_CLASSIFY, content_type=content_type), JSON)
    assert reply.status == 415
    assert json.loads(reply.body)["message"] == "the content type is not supported: send application/json"


@pytest.mark.parametrize("method", ["GET", "PUT", "OPTIONS", "HEAD", "DELETE", "PATCH"])
@pytest.mark.parametrize(("path", "allowed"), [(CLASSIFY, "POST"), (JSON_CLASSIFY, "POST"), (MODEL, "GET")])
def test_other_http_methods_are_refused(envoy: Envoy, fleet: Fleet, path: str, allowed: str, method: str) -> None:
    method = "POST" if method == allowed else method
    with answered_by(envoy, fleet, pods=0):
        replies = [exchange(envoy, grpc_headers(path, _method=method, content_type=None), *data) for data in ((), (FRAME,))]
        answer = request(envoy.api, method, path)
    for reply in replies:
        assert (reply.status, reply.headers["allow"]) == (405, allowed)
    assert (answer.status, answer.headers["allow"]) == (405, allowed)


def test_a_grpc_request_with_another_http_method_is_refused_with_a_grpc_status(envoy: Envoy, fleet: Fleet) -> None:
    with answered_by(envoy, fleet, pods=0):
        reply = exchange(envoy, grpc_headers(_method="PUT"), FRAME)
    assert (reply.status, reply.grpc_status, reply.headers["allow"]) == (200, UNIMPLEMENTED, "POST")


@pytest.mark.parametrize(
    "path", [f"{CLASSIFY}/", "/undertone.v1.Classifier/", "/undertone.v1.Classifier/classify", "/grpc.health.v1.Health/Sleep"]
)
def test_unknown_paths_are_refused(envoy: Envoy, fleet: Fleet, path: str) -> None:
    with answered_by(envoy, fleet, pods=0):
        assert exchange(envoy, grpc_headers(path), FRAME).grpc_status == UNIMPLEMENTED
        assert exchange(envoy, grpc_headers(path, content_type="application/json"), JSON).status == 404


def test_upgrades_and_grpc_over_http_1_are_refused(envoy: Envoy, fleet: Fleet) -> None:
    with answered_by(envoy, fleet, pods=0):
        for path in (CLASSIFY, MODEL):
            answer = request(envoy.api, "GET", path, Connection="Upgrade", Upgrade="websocket")
            assert (answer.status, "WebSocket" in answer.json["message"]) == (403, True)
        answer = request(envoy.api, "POST", CLASSIFY, FRAME, Content_Type="application/grpc")
        assert (answer.headers["grpc-status"], answer.headers["grpc-message"]) == ("12", "gRPC requires HTTP/2")
        assert request(envoy.api, "CONNECT", "example:1").status == 403


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((), "the call has no message"),
        ((b"",), "the call has no message"),
        ((FRAME[:4],), "the call has no message"),
        ((FRAME[:5],), "but 0 follow"),
        ((FRAME[:5], FRAME[5:8]), "announces 10 bytes, but 3 follow"),
        ((grpc_frame(MESSAGE, length=4_000_000_000),), "announces 4000000000 bytes"),
        ((FRAME, FRAME), "exactly one message"),
        ((grpc_frame(MESSAGE, compressed=1),), "grpc-encoding is missing"),
        ((grpc_frame(MESSAGE, compressed=7),), "the compression flag of the message is 7"),
    ],
)
def test_a_call_without_exactly_one_message_is_refused(
    envoy: Envoy, fleet: Fleet, data: tuple[bytes, ...], message: str
) -> None:
    with answered_by(envoy, fleet, pods=0):
        replies = [exchange(envoy, grpc_headers(path), *data) for path in (CLASSIFY, "/grpc.health.v1.Health/Watch")]
    for reply in replies:
        assert (reply.grpc_status, message in reply.grpc_message) == (INVALID_ARGUMENT, True), reply


async def test_a_call_whose_message_never_ends_reaches_no_pod(launch_envoy: EnvoyLauncher, fleet: Fleet) -> None:
    envoy = launch_envoy.envoy(fleet.sidecars, timeouts={"receiveSeconds": 0.3})
    requests = [
        (CLASSIFY, "application/grpc", FRAME[:8]),
        (CLASSIFY, "application/grpc", b""),
        (JSON_CLASSIFY, "application/json", b"{"),
    ]
    with answered_by(envoy, fleet, pods=0), Http2Connection(envoy.api) as connection:
        for path, content_type, data in requests:
            stream = connection.open(grpc_headers(path, content_type=content_type))
            connection.send(stream, data)
            await asyncio.to_thread(connection.until_ended, [stream])
            reply = connection.replies[stream]
            assert reply.grpc_status == 4 or reply.status == 408, reply
    assert envoy.statistic("cluster.sidecars.upstream_rq_retry") == 0


def test_compressed_messages_are_answered_by_a_pod(envoy: Envoy, fleet: Fleet) -> None:
    with answered_by(envoy, fleet, pods=2):
        for encoding, bits in (("gzip", 31), ("deflate", 15)):
            compress = zlib.compressobj(wbits=bits)
            message = compress.compress(MESSAGE) + compress.flush()
            assert exchange(envoy, grpc_headers(grpc_encoding=encoding), grpc_frame(message, compressed=1)).grpc_status == 0


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

    async with ScriptedPod(record) as pod:
        envoy = await asyncio.to_thread(launch_envoy.envoy, [pod.port])
        await asyncio.to_thread(envoy.until_used, [pod.port])
        trace = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        async with grpc.aio.insecure_channel(envoy.target) as channel:
            call: Any = channel.unary_unary(CLASSIFY)
            await call(
                MESSAGE,
                metadata=(trace, ("tracestate", "a=1"), ("undertone-lane", "batch"), ("cookie", "c"), ("x-bin", b"\xff")),
            )
    assert {"traceparent", "tracestate", "undertone-lane"} <= set(forwarded)
    assert not {"cookie", "x-bin", "user-agent", "x-forwarded-for"} & set(forwarded)


@pytest.mark.parametrize("timeout", ["abc", "123456789S", "-1S"])
def test_an_invalid_timeout_is_refused(envoy: Envoy, fleet: Fleet, timeout: str) -> None:
    with answered_by(envoy, fleet, pods=0):
        reply = exchange(envoy, grpc_headers(JSON_CLASSIFY, content_type="application/json", grpc_timeout=timeout), JSON)
        call = exchange(envoy, grpc_headers(grpc_timeout=timeout), FRAME)
    assert (reply.status, "grpc-timeout" in json.loads(reply.body)["message"]) == (400, True)
    assert (call.grpc_status, "grpc-timeout" in call.grpc_message) == (INVALID_ARGUMENT, True)


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        (JSON_CLASSIFY, b'{"txt": "rain"}', 'the field "txt" of the request is unknown: send text, id or overlengthPolicy'),
        (JSON_CLASSIFY, b'{"text": "rain", "Id": "a"}', 'the field "Id"'),
        (JSON_CLASSIFY, b'{"text": "rain", "te\\u0078t": "rain"}', 'the field "te\\u0078t" of the request is unknown'),
        (JSON_CLASSIFY, b'{"1": "rain"}', 'the field "1"'),
        (JSON_CLASSIFY, b'{"text": "a", "text": "b"}', "the field text of the request is repeated"),
        (
            JSON_CLASSIFY,
            b'{"overlengthPolicy": 1, "overlength_policy": 1}',
            "the field overlengthPolicy of the request is repeated",
        ),
        (JSON_CLASSIFY, b'{"text": ["rain"]}', "text must be a string"),
        (JSON_CLASSIFY, b'{"text": NaN}', "text must be a string"),
        (JSON_CLASSIFY, b'{"text": "rain", "id": {"a": 1}}', "id must be a string"),
        (JSON_CLASSIFY, b'{"text": "rain", "overlengthPolicy": 1.5}', "expected a comma or the end of the request"),
        (JSON_CLASSIFY, b'{"text": "rain"} x', "more bytes follow"),
        (JSON_CLASSIFY, b'{"text": "rain",}', "expected the name of a field"),
        (JSON_CLASSIFY, b"{'text': 'rain'}", "in double quotes"),
        (JSON_CLASSIFY, b'{"text": "a\x00b"}', "control character"),
        (JSON_CLASSIFY, b'{"text": "a\nb"}', "control character"),
        (JSON_CLASSIFY, b'{"text": "a\\xb"}', "escape sequence"),
        (JSON_CLASSIFY, b'{"text": "\\ud800"}', "surrogate"),
        (JSON_CLASSIFY, b'{"text": "\xff"}', "UTF-8"),
        (JSON_CLASSIFY, b'\xef\xbb\xbf{"text": "rain"}', "the request must be an object"),
        (JSON_CLASSIFY, '{"text": "rain"}'.encode("utf-16"), "the request must be an object"),
        (JSON_CLASSIFY, b"[" * 100_000, "the request must be an object"),
        (JSON_CLASSIFY, b'{"text": ' * 100_000, "text must be a string"),
        (JSON_CLASSIFY, b"null", "the request must be an object"),
        (JSON_CLASSIFY, b" ", "the request must be an object"),
        (JSON_CLASSIFY, b"", "the body is empty"),
        (JSON_BATCH, b'{"paragraphs": [{"text": "a"}, {"txt": "rain"}]}', 'the field "txt" of each of paragraphs is unknown'),
        (JSON_BATCH, b'{"paragraphs": {"text": "rain"}}', "paragraphs must be an array"),
        (JSON_BATCH, b'{"paragraphs": [' + b"{}," * 1_000_000 + b"{}]}", "paragraphs has more than 65536 elements"),
        (JSON_BATCH, b'{"paragraphs": ["rain"]}', "each of paragraphs must be an object"),
        (JSON_BATCH, b'{"paragraphs": [[{"text": "rain"}]]}', "each of paragraphs must be an object"),
        (JSON_BATCH, b'{"paragraphs": [], "paragraphs": []}', "the field paragraphs of the request is repeated"),
        (JSON_BATCH, b'{"paragraph": []}', 'the field "paragraph" of the request is unknown: send paragraphs or'),
        (f"{JSON_CLASSIFY}?text=sun", JSON, "the path has a query (text)"),
        (f"{JSON_CLASSIFY}?overlengthPolicy=1&text=sun", JSON, "the path has a query (overlengthPolicy)"),
        (f"{JSON_CLASSIFY}?", JSON, "the path has a query ()"),
    ],
)
def test_json_that_is_not_a_request_of_the_method_is_refused(
    envoy: Envoy, fleet: Fleet, path: str, body: bytes, message: str
) -> None:
    envoy.until_used(fleet.sidecars)
    answer = request(envoy.api, "POST", path, body, Content_Type="application/json")
    assert answer.status == 400, answer
    assert (answer.json["code"], message in answer.json["message"]) == (INVALID_ARGUMENT, True), answer


@pytest.mark.parametrize(
    "body",
    [
        b' {\r\n\t"text" : "the \\"rain\\" \\u00e9\\ud83d\\ude00 \\\\" , "id":null}\n',
        b'{"overlength_policy": "OVERLENGTH_POLICY_TRUNCATE", "text": "rain"}',
        b'{"overlengthPolicy": 1, "text": "rain", "id": ""}',
        '{"text": "der Regen über Köln, \x7f 雨 😀"}'.encode(),
    ],
)
def test_json_in_any_notation_is_accepted(envoy: Envoy, fleet: Fleet, body: bytes) -> None:
    envoy.until_used(fleet.sidecars)
    answer = request(envoy.api, "POST", JSON_CLASSIFY, body, Content_Type="application/json")
    assert answer.status == 200, answer


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

    ejections = envoy.statistic("cluster.sidecars.outlier_detection.ejections_enforced_total")
    attacking = asyncio.create_task(asyncio.to_thread(attack))
    while not attacking.done():
        assert (await ask(stub, "the rain")).label
    await attacking
    assert envoy.used() == set(fleet.sidecars)
    assert envoy.statistic("cluster.sidecars.outlier_detection.ejections_enforced_total") == ejections


PATHS = st.sampled_from([CLASSIFY, JSON_CLASSIFY, JSON_BATCH, MODEL, "/grpc.health.v1.Health/Check", "/", f"{CLASSIFY}?a"])
TYPES = st.sampled_from([None, "application/grpc", "application/grpc+proto", "application/json", "text/plain"])
NAMES = st.sampled_from(
    ["grpc-encoding", "grpc-timeout", "grpc-accept-encoding", "a-bin", "te", "traceparent", "expect", "x-a"]
)
HEADERS = st.lists(st.tuples(NAMES, st.text(st.characters(codec="latin-1"), max_size=300)), max_size=4)
BODIES = st.one_of(
    st.binary(max_size=64),
    st.sampled_from([FRAME, FRAME[:7], FRAME * 2, JSON, JSON[:-1]]),
    st.builds(lambda message, flag: grpc_frame(message, compressed=flag), st.binary(max_size=32), st.integers(0, 255)),
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["POST", "GET", "PUT", "HEAD", "OPTIONS"]),
    path=PATHS,
    content_type=TYPES,
    headers=HEADERS,
    body=BODIES,
    complete=st.booleans(),
)
def test_no_request_affects_other_callers(
    envoy: Envoy,
    fleet: Fleet,
    method: str,
    path: str,
    content_type: str | None,
    headers: list[tuple[str, str]],
    body: bytes,
    complete: bool,
) -> None:
    envoy.until_used(fleet.sidecars)
    ejections = "cluster.sidecars.outlier_detection.ejections_enforced_total"
    counters = (ejections, "cluster.sidecars.upstream_rq_retry")
    before = [envoy.statistic(name) for name in counters]
    with Http2Connection(envoy.api) as attacker, Http2Connection(envoy.api) as neighbour:
        stream = attacker.open([*grpc_headers(path, _method=method, content_type=content_type), *headers])
        attacker.send(stream, body, end=complete)
        if complete:
            attacker.until_ended([stream])
        assert [neighbour.exchange(grpc_headers(), FRAME).grpc_status for _ in range(3)] == [0, 0, 0]
    assert [envoy.statistic(name) for name in counters] == before
    assert envoy.used() == set(fleet.sidecars)
