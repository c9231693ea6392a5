"""The HTTP port: hostile requests, callers that leave, a drain, and a sidecar without a model."""

import asyncio
import http.client
import json
import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

import grpc
import pytest
from undertone_protos.v1 import classifier_pb2, classifier_pb2_grpc
from undertone_sidecar.testing import write_version

from tests.integration.support.envoy import Answer
from tests.integration.support.processes import SERVING, TIMEOUT_SECONDS, FakeModelServer, Launcher, Sidecar, until
from tests.integration.support.watched_process import WatchedSidecar

CLASSIFY: Final = "/v1/paragraphs:classify"
BATCH: Final = "/v1/paragraphs:classifyBatch"
RAIN: Final = b'{"text": "rain"}'
JSON: Final = {"content-type": "application/json"}

MAX_BLOCKING_SECONDS: Final = 0.010
ROUNDS: Final = 6
MEMORY_LIMIT_BYTES: Final = 512 * 2**20
"""Memory limit of the sidecar's container in the chart."""

MEGABYTES: Final = 4 * 2**20 - 100

ATTACKS: Final[Mapping[str, bytes]] = {
    "objects": b"[%s{}]" % (b"{}," * (MEGABYTES // 3)),
    "arrays": b"[%s[]]" % (b"[]," * (MEGABYTES // 3)),
    "depth": b"[" * MEGABYTES,
    "numbers": b"[%s1]" % (b"1," * (MEGABYTES // 2)),
    "one number": b"1" * MEGABYTES,
    "literals": b"[%snull]" % (b"null," * (MEGABYTES // 5)),
    "strings": b'[%s""]' % (b'"",' * (MEGABYTES // 3)),
    "escapes": b'{"text": "%s"}' % (b"\\n" * (MEGABYTES // 2)),
    "most escapes": b'{"text": "%s"}' % (b"\\n" * 1_100_000),
    "long text": b'{"text": "%s"}' % (b"r" * MEGABYTES),
    "fields": b'{%s"a": 1}' % (b'"a": 1,' * (MEGABYTES // 7)),
    "largest batch": json.dumps({"paragraphs": [{"text": "word " * 800, "id": str(n)} for n in range(256)]}).encode(),
    "escaped batch": json.dumps({"paragraphs": [{"text": "я" * 2047, "id": "ы" * 256} for _ in range(256)]}).encode(),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, FakeModelServer]]:
    """The folder of a model of 512 tokens, and a model server for it."""
    base = tmp_path_factory.mktemp("models") / "emotions"
    write_version(base, 1, max_tokens=512)
    with Launcher() as launch:
        yield base, launch.fake_model_server(base.name)


@pytest.fixture(scope="module")
def sidecar(model: tuple[Path, FakeModelServer], tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedSidecar]:
    base, server = model
    started = WatchedSidecar(base, server.target, log=tmp_path_factory.mktemp("sidecar") / "sidecar.log")
    try:
        yield started.until_serving()
    finally:
        started.stop()


def connect(sidecar: Sidecar) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("localhost", sidecar.http_port, timeout=TIMEOUT_SECONDS)


def ask(connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None = None) -> Answer:
    connection.request(method, path, body, JSON if body is not None else {})
    response = connection.getresponse()
    return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())


@pytest.mark.parametrize("name", ATTACKS)
def test_no_body_blocks_the_event_loop(sidecar: WatchedSidecar, name: str) -> None:
    longest: list[tuple[float, str]] = []
    sidecar.longest_callback()
    with closing(connect(sidecar)) as connection:
        for _ in range(ROUNDS):
            path = BATCH if name.endswith("batch") else CLASSIFY
            assert ask(connection, "POST", path, ATTACKS[name]).status in {200, 400, 429}
            longest.append(sidecar.longest_callback())
            if longest[-1][0] < MAX_BLOCKING_SECONDS:
                return
    seconds, callback = min(longest)
    assert seconds < MAX_BLOCKING_SECONDS, callback


def test_unfinished_bodies_leave_memory_and_grpc_callers_alone(sidecar: WatchedSidecar) -> None:
    head = b"POST %s HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    attackers = [socket.create_connection(("localhost", sidecar.http_port)) for _ in range(200)]
    try:
        for attacker in attackers:
            attacker.setblocking(False)
            attacker.sendall(head % (BATCH.encode(), MEGABYTES))
        body = b"a" * 65536
        for _ in range(64):
            for attacker in attackers:
                with suppress(BlockingIOError):
                    attacker.send(body)
        with grpc.insecure_channel(sidecar.target) as channel:
            stub = classifier_pb2_grpc.ClassifierStub(channel)
            for _ in range(20):
                assert stub.Classify(classifier_pb2.ClassifyRequest(text="rain"), timeout=TIMEOUT_SECONDS).label
    finally:
        for attacker in attackers:
            attacker.close()
    # The sidecar itself, and 48 bodies of 4 MiB, with what their buffers allocate in advance.
    assert sidecar.resident_bytes() < MEMORY_LIMIT_BYTES * 0.85
    assert sidecar.health() == SERVING
    with closing(connect(sidecar)) as connection:
        assert ask(connection, "POST", CLASSIFY, RAIN).status == 200


def test_a_page_with_the_address_of_the_port_cannot_call_it(sidecar: WatchedSidecar) -> None:
    with closing(connect(sidecar)) as connection:
        connection.request("POST", CLASSIFY, RAIN, {**JSON, "host": f"rebound.example:{sidecar.http_port}"})
        answer = connection.getresponse()
        assert (answer.status, "'rebound.example:" in json.load(answer)["message"]) == (403, True)


def test_a_caller_that_leaves_cancels_its_call(sidecar: WatchedSidecar, model: tuple[Path, FakeModelServer]) -> None:
    with model[1].paused():
        with closing(connect(sidecar)) as connection:
            connection.request("POST", CLASSIFY, RAIN, JSON)
            until(lambda: sidecar.calls_running("Classify") == 1, "the call runs")
        until(lambda: sidecar.calls_running("Classify") == 0, "the call is cancelled")
    assert "Traceback" not in sidecar.log
    assert "request failed" not in sidecar.log


async def test_a_drain_finishes_calls_and_ends_connections(launch: Launcher, model: tuple[Path, FakeModelServer]) -> None:
    base, server = model
    sidecar = launch.sidecar(base, server.target, "--drain-delay-seconds=2").until_serving()
    with closing(connect(sidecar)) as idle, closing(connect(sidecar)) as busy:
        assert ask(idle, "GET", "/readyz").status == 200
        with server.paused():
            busy.request("POST", CLASSIFY, RAIN, JSON)
            until(lambda: sidecar.calls_running("Classify") == 1, "the call runs")
            sidecar.signal(signal.SIGTERM)
            until(lambda: ask(idle, "GET", "/readyz").status == 503, "the sidecar is not ready")
            assert ask(idle, "GET", "/healthz").status == 503
            # The end of the delay.
            refused = await asyncio.to_thread(refusal, sidecar)
            assert refused.json["code"] == grpc.StatusCode.UNAVAILABLE.value[0]
            assert (refused.headers["retry-after"], refused.headers["connection"]) == ("1", "close")
        answer = busy.getresponse()
        assert (answer.status, answer.getheader("connection")) == (200, "close")
        assert json.loads(answer.read())["label"]
    assert await asyncio.to_thread(sidecar.wait) == 0


def refusal(sidecar: Sidecar) -> Answer:
    """The first refusal of a call."""
    while True:
        with closing(connect(sidecar)) as connection:
            connection.request("GET", "/v1/model")
            response = connection.getresponse()
            if response.status != 200:
                return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())


def test_a_sidecar_without_a_model_answers_with_the_time_to_wait(launch: Launcher, model: tuple[Path, FakeModelServer]) -> None:
    sidecar = launch.sidecar(model[0], "unix:///nowhere.sock").until_listening()
    with closing(connect(sidecar)) as connection:
        assert ask(connection, "GET", "/healthz").status == 200
        assert ask(connection, "GET", "/readyz").status == 503
        answer = ask(connection, "POST", CLASSIFY, RAIN)
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    with grpc.insecure_channel(sidecar.target) as channel, pytest.raises(grpc.RpcError) as refused:
        classifier_pb2_grpc.ClassifierStub(channel).Classify(classifier_pb2.ClassifyRequest(text="rain"))
    assert (answer.json["code"], answer.json["message"]) == (refused.value.code().value[0], refused.value.details())
