"""Costly requests, bursts and cancellations of one caller, through Envoy to two sidecars."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import grpc
import pytest
from undertone_bench.chart import Chart
from undertone_bench.processes import peak_resident_bytes
from undertone_protos.v1 import classifier_pb2, classifier_pb2_grpc

from tests.integration.envoy.conftest import Fleet
from tests.integration.support.callers import neighbours
from tests.integration.support.envoy import Envoy, EnvoyLauncher, request
from tests.integration.support.hostile_requests import CLASSIFY_BATCH, EMPTY_ENTRIES
from tests.integration.support.http2 import Http2Connection, grpc_frame, grpc_headers
from tests.integration.support.processes import TIMEOUT_SECONDS, Sidecar

LIMIT_BYTES: Final = 512 * 1024 * 1024
"""The default memory limit of both containers."""

JSON_ENTRIES: Final = 65_536
"""Elements of an array that Envoy accepts in JSON."""

OWN_CONNECTION: Final = (("grpc.use_local_subchannel_pool", 1),)

REQUEST: Final = classifier_pb2.ClassifyRequest(text="the rain")


@dataclass(frozen=True, slots=True)
class Attacked:
    """Envoy, and two sidecars by port."""

    envoy: Envoy
    sidecars: dict[int, Sidecar]

    def peak_bytes(self) -> dict[str, int]:
        """Peak resident memory of each process."""
        sidecars = {f"sidecar {number}": sidecar.resident_bytes() for number, sidecar in enumerate(self.sidecars.values(), 1)}
        return {"Envoy": peak_resident_bytes(self.envoy.pid), **sidecars}


@pytest.fixture(scope="module")
def attacked(chart: Chart, fleet: Fleet) -> Iterator[Attacked]:
    sidecars = dict(itertools.islice(fleet.sidecars.items(), 2))
    with EnvoyLauncher(chart) as launch:
        envoy = launch.envoy(sidecars)
        envoy.until_used(sidecars)
        yield Attacked(envoy, sidecars)


async def calls(target: str, method: str, message: bytes, count: int) -> Counter[str]:
    """The status codes of simultaneous calls on connections of their own."""
    async with grpc.aio.insecure_channel(target, options=OWN_CONNECTION) as channel:
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)
        started = [call(message, timeout=TIMEOUT_SECONDS) for _ in range(count)]
        return Counter([(await one.code()).name for one in started])


async def batches_of_empty_entries(attacked: Attacked) -> None:
    for _ in range(3):
        codes = await calls(attacked.envoy.target, CLASSIFY_BATCH, EMPTY_ENTRIES, 24)
        assert codes["INVALID_ARGUMENT"] > 0
        assert set(codes) <= {"INVALID_ARGUMENT", "RESOURCE_EXHAUSTED"}


async def json_batches_of_empty_entries(attacked: Attacked) -> None:
    def post(body: bytes) -> int:
        return request(attacked.envoy.api, "POST", "/v1/paragraphs:classifyBatch", body, Content_Type="application/json").status

    # 2.7 and 4 MB that Envoy refuses, and 4 MB that it forwards to a sidecar.
    many = [b'{"paragraphs":[' + b"{}," * count + b"{}]}" for count in (900_000, 1_390_000)]
    forwarded = b'{"paragraphs":[' + b",".join([b"{" + b" " * 58 + b"}"] * JSON_ENTRIES) + b"]}"
    statuses = await asyncio.gather(*(asyncio.to_thread(post, body) for body in [*many * 4, *[forwarded] * 8]))
    assert set(statuses) <= {400, 429, 503}
    assert 400 in statuses


async def calls_without_a_message(attacked: Attacked) -> None:
    def attack() -> None:
        with Http2Connection(attacked.envoy.api) as connection:
            streams = [connection.open(grpc_headers(), end=True) for _ in range(60)]
            for _ in range(60):
                streams.append(connection.open(grpc_headers()))
                connection.send(streams[-1], grpc_frame(b"\x0a\x04", length=100), end=True)
            replies = connection.until_ended(streams)
            assert {reply.grpc_status for reply in replies} == {grpc.StatusCode.INVALID_ARGUMENT.value[0]}

    await asyncio.to_thread(attack)


async def undecodable_watches(attacked: Attacked) -> None:
    async with grpc.aio.insecure_channel(attacked.envoy.target, options=OWN_CONNECTION) as channel:
        watch: Any = channel.unary_stream("/grpc.health.v1.Health/Watch")
        for _ in range(3):
            streams = [watch(b"\x0a\x02\xff\xfe", timeout=TIMEOUT_SECONDS) for _ in range(100)]
            assert {await stream.code() for stream in streams} == {grpc.StatusCode.INVALID_ARGUMENT}


async def names_that_are_not_utf_8(attacked: Attacked) -> None:
    def attack() -> None:
        for _ in range(20):
            with Http2Connection(attacked.envoy.api) as connection:
                path: Any = b"/undertone.v1.Classifier/\xff"
                connection.open([(name, path if name == ":path" else value) for name, value in grpc_headers()], end=True)
                connection.until_ended(connection.replies)

    await asyncio.to_thread(attack)


async def cancellations(attacked: Attacked) -> None:
    async with grpc.aio.insecure_channel(attacked.envoy.target, options=OWN_CONNECTION) as channel:
        stub = classifier_pb2_grpc.ClassifierStub(channel)
        for round_number in range(4):
            started = [stub.Classify(REQUEST, timeout=TIMEOUT_SECONDS) for _ in range(1000)]
            await asyncio.wait([asyncio.ensure_future(started[0].code())], timeout=0.05 * round_number)
            for call in started:
                call.cancel()
            # Envoy closes connections that cancel most of their calls.
            codes = {(await call.code()).name for call in started}
            assert codes <= {"CANCELLED", "OK", "UNAVAILABLE"}


ATTACKS: Final[list[Callable[[Attacked], Awaitable[None]]]] = [
    batches_of_empty_entries,
    json_batches_of_empty_entries,
    calls_without_a_message,
    undecodable_watches,
    names_that_are_not_utf_8,
    cancellations,
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
async def test_neighbours_are_answered_during_an_attack(
    attacked: Attacked, attack: Callable[[Attacked], Awaitable[None]]
) -> None:
    ejections = attacked.envoy.ejections()
    async with neighbours(attacked.envoy.target):
        await attack(attacked)
    assert attacked.envoy.ejections() == ejections
    assert attacked.envoy.used() == set(attacked.sidecars)
    for name, peak in attacked.peak_bytes().items():
        assert peak < LIMIT_BYTES, name


async def burst(target: str, count: int) -> Counter[tuple[str, bool]]:
    """The outcomes of simultaneous calls on 30 connections: status, and whether with pushback."""
    channels = [grpc.aio.insecure_channel(target, options=OWN_CONNECTION) for _ in range(30)]
    stubs = [classifier_pb2_grpc.ClassifierStub(channel) for channel in channels]
    started = [stubs[number % len(stubs)].Classify(REQUEST, timeout=TIMEOUT_SECONDS) for number in range(count)]
    outcomes = Counter(
        [((await call.code()).name, "grpc-retry-pushback-ms" in dict(await call.trailing_metadata() or ())) for call in started]
    )
    for channel in channels:
        await channel.close()
    return outcomes


async def test_every_call_of_a_burst_is_answered_or_refused_with_pushback(attacked: Attacked) -> None:
    ejections = attacked.envoy.ejections()
    outcomes = await burst(attacked.envoy.target, 2000)
    assert set(outcomes) <= {("OK", False), ("RESOURCE_EXHAUSTED", True)}
    assert outcomes["OK", False] > 0
    assert attacked.envoy.ejections() == ejections
    assert attacked.envoy.used() == set(attacked.sidecars)
    for name, peak in attacked.peak_bytes().items():
        assert peak < LIMIT_BYTES, name


async def test_calls_above_the_circuit_breaker_are_refused_with_pushback(chart: Chart, attacked: Attacked) -> None:
    with EnvoyLauncher(chart) as launch:
        envoy = await asyncio.to_thread(launch.envoy, attacked.sidecars, circuitBreaker={"calls": 4})
        await asyncio.to_thread(envoy.until_used, attacked.sidecars)
        outcomes = await burst(envoy.target, 300)
    assert set(outcomes) == {("OK", False), ("RESOURCE_EXHAUSTED", True)}
