"""Requests that block the event loop, use up memory, or are never complete."""

import asyncio
import json
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import grpc
import h2.settings
import pytest
from undertone_protos.v1 import classifier_pb2, classifier_pb2_grpc
from undertone_sidecar.grpc_options import MAX_PENDING_CALLS
from undertone_sidecar.testing import write_version

from tests.integration.support.hostile_requests import CLASSIFY_BATCH, EMPTY_ENTRIES, Attack, attacks
from tests.integration.support.http2 import Http2Connection, grpc_frame, grpc_headers
from tests.integration.support.processes import ENVIRONMENT, SERVING, TIMEOUT_SECONDS, Launcher, Sidecar, command
from tests.integration.support.watched_process import WatchedSidecar

MAX_BLOCKING_SECONDS = 0.010
ROUNDS = 6
MEMORY_LIMIT_BYTES = 512 * 2**20
"""Memory limit of the sidecar's container in the chart."""

WATCH = "/grpc.health.v1.Health/Watch"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
ATTACKS = attacks()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """The folder of a model of 512 tokens, and the address of a model server for it."""
    base = tmp_path_factory.mktemp("models") / "emotions"
    write_version(base, 1, max_tokens=512)
    with Launcher() as launch:
        yield base, launch.fake_model_server(base.name).target


OTHER_CALLER: Final = (("x-undertone-caller", "other"),)
"""Metadata of callers that must not share the limits of the attacker."""


@pytest.fixture(scope="module")
def sidecar(model: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedSidecar]:
    base, address = model
    flag = "--trust-caller-metadata"
    started = WatchedSidecar(base, address, flag, log=tmp_path_factory.mktemp("sidecar") / "sidecar.log")
    try:
        yield started.until_serving()
    finally:
        started.stop()


@asynccontextmanager
async def others_answered(sidecar: Sidecar) -> AsyncIterator[None]:
    """Calls the sidecar all the time, and expects that every call is answered."""
    stopped = asyncio.Event()

    async def call() -> int:
        answered = 0
        async with sidecar.connected() as stub:
            while not stopped.is_set():
                request = classifier_pb2.ClassifyRequest(text="rain")
                await stub.Classify(request, timeout=TIMEOUT_SECONDS, metadata=OTHER_CALLER)
                answered += 1
        return answered

    caller = asyncio.create_task(call())
    try:
        yield
    finally:
        stopped.set()
        assert await caller > 0


async def send(target: str, attack: Attack) -> Counter[str]:
    """The status codes of the attack's calls."""
    async with grpc.aio.insecure_channel(target) as channel:
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(attack.method)
        calls = [call(attack.message, timeout=TIMEOUT_SECONDS) for _ in range(attack.count)]
        return Counter([(await started.code()).name for started in calls])


@pytest.mark.parametrize("name", ATTACKS)
async def test_no_request_blocks_the_event_loop(sidecar: WatchedSidecar, name: str) -> None:
    longest: list[tuple[float, str]] = []
    sidecar.longest_callback()
    for _ in range(ROUNDS):
        codes = await send(sidecar.target, ATTACKS[name])
        assert set(codes) <= {"OK", "INVALID_ARGUMENT", "RESOURCE_EXHAUSTED"}
        longest.append(sidecar.longest_callback())
        if longest[-1][0] < MAX_BLOCKING_SECONDS:
            return
    seconds, callback = min(longest)
    assert seconds < MAX_BLOCKING_SECONDS, callback


async def test_large_invalid_batches_leave_memory_and_other_callers_alone(sidecar: WatchedSidecar) -> None:
    async with others_answered(sidecar):
        for _ in range(3):
            codes = await send(sidecar.target, Attack(CLASSIFY_BATCH, EMPTY_ENTRIES, 24))
            assert codes["INVALID_ARGUMENT"] > 0
            assert codes["INVALID_ARGUMENT"] + codes["RESOURCE_EXHAUSTED"] == 24
            assert await asyncio.to_thread(sidecar.health) == SERVING
    assert sidecar.resident_bytes() < MEMORY_LIMIT_BYTES * 0.7


async def test_every_call_of_a_burst_is_answered_or_refused_with_pushback(sidecar: WatchedSidecar) -> None:
    """A connection has more calls than streams. By default, gRPC refuses some as UNAVAILABLE."""
    options = (("grpc.use_local_subchannel_pool", 1),)
    channels = [grpc.aio.insecure_channel(sidecar.target, options=options) for _ in range(10)]
    stubs = [classifier_pb2_grpc.ClassifierStub(channel) for channel in channels]
    request = classifier_pb2.ClassifyRequest(text="rain")
    calls = [stubs[number % len(stubs)].Classify(request, timeout=TIMEOUT_SECONDS) for number in range(4000)]
    outcomes = Counter(
        [((await call.code()).name, "grpc-retry-pushback-ms" in dict(await call.trailing_metadata() or ())) for call in calls]
    )
    for channel in channels:
        await channel.close()
    assert set(outcomes) <= {("OK", False), ("RESOURCE_EXHAUSTED", True)}
    assert outcomes["OK", False] > 0
    assert sidecar.resident_bytes() < MEMORY_LIMIT_BYTES * 0.7


def port(sidecar: Sidecar) -> int:
    return int(sidecar.target.rpartition(":")[2])


def test_grpc_cancels_no_call_of_a_burst_on_thirty_connections(sidecar: WatchedSidecar) -> None:
    """When a connection had up to 1,024 streams, a burst of 12,000 calls was more than gRPC keeps
    for the event loop, so that it cancelled 9 % of them.
    """
    with Http2Connection(port(sidecar)) as connection:
        connection.exchange(grpc_headers(), grpc_frame(b"\x0a\x01a"))
        assert 30 * connection.h2.remote_settings.max_concurrent_streams <= MAX_PENDING_CALLS


def test_a_call_without_a_complete_message_is_answered(sidecar: WatchedSidecar) -> None:
    with Http2Connection(port(sidecar)) as connection:
        assert connection.exchange(grpc_headers()).grpc_status == grpc.StatusCode.INVALID_ARGUMENT.value[0]
        half = connection.exchange(grpc_headers(), grpc_frame(b"\x0a\x04", length=100))
        assert half.grpc_status == grpc.StatusCode.INVALID_ARGUMENT.value[0]


def send_as_far_as_accepted(connection: Http2Connection, stream: int, data: bytes) -> None:
    """Sends until the window of the stream stays closed."""
    sent = 0
    while sent < len(data) and not connection.closed and not connection.replies[stream].ended:
        room = min(connection.h2.local_flow_control_window(stream), connection.h2.max_outbound_frame_size, len(data) - sent)
        if room > 0:
            connection.h2.send_data(stream, data[sent : sent + room])
            sent += room
            connection.flush()
        elif not connection.receive(0.05):
            return


async def test_unfinished_large_messages_leave_memory_and_other_callers_alone(sidecar: WatchedSidecar) -> None:
    message = grpc_frame(b"\x0a\x04" + b"a" * 2_600_000, length=2_700_000)

    def attack() -> None:
        with Http2Connection(port(sidecar)) as connection:
            streams = [connection.open(grpc_headers(CLASSIFY_BATCH)) for _ in range(100)]
            for stream in streams:
                send_as_far_as_accepted(connection, stream, message)

    async with others_answered(sidecar):
        await asyncio.gather(*(asyncio.to_thread(attack) for _ in range(2)))
    assert sidecar.resident_bytes() < MEMORY_LIMIT_BYTES * 0.7
    assert sidecar.health() == SERVING


async def test_deadlines_and_bad_headers_of_callers_cause_no_traceback(sidecar: WatchedSidecar) -> None:
    async with grpc.aio.insecure_channel(sidecar.target) as channel:
        stub = classifier_pb2_grpc.ClassifierStub(channel)
        request = classifier_pb2.ClassifyRequest(text="rain")
        for milliseconds in (0.001, 1, 5, 20, 50, 100, 200):
            calls = [stub.Classify(request, timeout=milliseconds / 1e3) for _ in range(300)]
            assert {await call.code() for call in calls} <= {
                grpc.StatusCode.OK,
                grpc.StatusCode.DEADLINE_EXCEEDED,
                grpc.StatusCode.RESOURCE_EXHAUSTED,
            }
    with Http2Connection(port(sidecar)) as connection:
        for value in (b"\xff", b"\x01", b"a" * 7000):
            headers = [*grpc_headers(), ("undertone-lane", value)]
            connection.exchange(headers, grpc_frame(b"\x0a\x01a"))  # type: ignore[arg-type]
        connection.exchange([*grpc_headers(), ("grpc-timeout", "soon")], grpc_frame(b"\x0a\x01a"))
    assert "Traceback" not in sidecar.log
    assert "request failed" not in sidecar.log


def test_bad_messages_do_not_stop_a_sidecar_whose_log_is_not_read(model: tuple[Path, str]) -> None:
    base, address = model
    program = [command("undertone-sidecar"), f"--model-dir={base}", f"--model-server={address}", "--port=0", "--metrics-port=0"]
    process = subprocess.Popen([*program, "--log-format=json"], env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr
        lines = [process.stderr.readline()]
        while '"ready"' not in lines[-1]:
            lines.append(process.stderr.readline())
        listening = next(json.loads(line)["port"] for line in lines if '"listening"' in line)
        # From here, the log is not read.
        with grpc.insecure_channel(f"localhost:{listening}") as channel:
            for method in (WATCH, REFLECTION) * 150:
                stream: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(method)
                call = stream(iter([b"\x0a\x02\xff\xfe"]), timeout=TIMEOUT_SECONDS)
                assert call.code() is grpc.StatusCode.INVALID_ARGUMENT
            request = classifier_pb2.ClassifyRequest(text="rain")
            classifier_pb2_grpc.ClassifierStub(channel).Classify(request, timeout=TIMEOUT_SECONDS)
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT_SECONDS) == 0
    finally:
        process.kill()
        process.communicate()


def test_a_watch_that_is_not_read_does_not_block_a_drain(model: tuple[Path, str], tmp_path: Path) -> None:
    base, address = model
    sidecar = WatchedSidecar(base, address, log=tmp_path / "sidecar.log")
    try:
        with Http2Connection(port(sidecar.until_serving())) as connection:
            connection.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 0})
            stream = connection.open(grpc_headers(WATCH))
            connection.send(stream, grpc_frame(b""), end=True)
            # The answer to a later call shows that the watch has started.
            with Http2Connection(port(sidecar)) as other:
                other.exchange(grpc_headers("/grpc.health.v1.Health/Check"), grpc_frame(b""))
            sidecar.signal(signal.SIGTERM)
            assert sidecar.wait() == 0
    finally:
        sidecar.stop()
