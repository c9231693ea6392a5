"""A job waits for its service at the start, on a clock that the test advances."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from undertone_client import (
    AccessDeniedError,
    BreakerSettings,
    NotUndertoneError,
    OverloadedError,
    Settings,
    Tls,
    TlsMismatchError,
    UnavailableError,
)
from undertone_client.jobs import ExitCode, command_error, wait_for_service
from undertone_client.jobs.exits import CommandError
from undertone_client.testing import FakeClassifier, Fault

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


class Time:
    """A clock that moves only while the job sleeps. `at` starts tasks at a time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []
        self.events: list[tuple[float, FakeClassifier]] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)
        for start, service in [event for event in self.events if event[0] <= self.now]:
            self.events.remove((start, service))
            await service.__aenter__()
            # gRPC drops the failed connection of a closed channel in its own threads. Until then, a
            # new channel shares it and its real-time backoff.
            await asyncio.sleep(1.0)


class Wait:
    """One wait for a service, and the lines that it reported."""

    def __init__(self, patience: float, **settings: object) -> None:
        self.time = Time()
        self.lines: list[str] = []
        self.settings = replace(Settings(breaker=BreakerSettings(patience_seconds=patience)), **settings)  # type: ignore[arg-type]

    async def __call__(self, target: str) -> str:
        time = self.time
        served = await wait_for_service(target, self.settings, self.lines.append, clock=time.clock, sleep=time.sleep)
        return served.model.name


@asynccontextmanager
async def stopped_service() -> AsyncIterator[FakeClassifier]:
    """A service that does not listen yet, whose port is known."""
    async with FakeClassifier() as service:
        await service.stop()
        yield service


async def test_a_service_that_starts_later_is_waited_for_and_seen_within_seconds() -> None:
    wait = Wait(patience=600)
    async with stopped_service() as service:
        wait.time.events.append((100.0, service))
        assert await wait(service.target) == "fake"
    assert 100 <= wait.time.now <= 102
    assert max(wait.time.waits) <= 2
    assert wait.lines[0].startswith(f"waiting for the service at {service.target}: ")
    assert "Connection refused" in wait.lines[0]
    assert wait.lines[-1].endswith(" s of 600 s)")
    assert len(wait.lines) == pytest.approx(10, abs=1)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(UNAVAILABLE, "no model is loaded"),
        Fault(grpc.StatusCode.RESOURCE_EXHAUSTED),
        Fault(grpc.StatusCode.DEADLINE_EXCEEDED),
        Fault(grpc.StatusCode.CANCELLED),
    ],
)
async def test_a_service_that_loads_its_model_is_waited_for(service: FakeClassifier, fault: Fault) -> None:
    service.faults.extend([fault] * 20)
    wait = Wait(patience=600)
    assert await wait(service.target) == "fake"
    assert len(service.calls) == 21
    assert fault.reason in wait.lines[0]


async def test_the_pushback_of_the_service_is_honoured(service: FakeClassifier) -> None:
    service.faults.append(Fault(grpc.StatusCode.RESOURCE_EXHAUSTED, pushback_ms=30_000))
    wait = Wait(patience=600)
    await wait(service.target)
    assert wait.time.waits == [30.0]


async def test_a_pushback_beyond_the_patience_is_not_waited_for(service: FakeClassifier) -> None:
    service.faults.append(Fault(grpc.StatusCode.RESOURCE_EXHAUSTED, pushback_ms=3_600_000))
    wait = Wait(patience=600)
    with pytest.raises(OverloadedError):
        await wait(service.target)
    assert wait.time.waits == []


async def test_a_name_that_does_not_exist_yet_is_waited_for() -> None:
    wait = Wait(patience=30)
    with pytest.raises(UnavailableError, match=r"undertone\.invalid"):
        await wait("dns:///undertone.invalid:50051")
    assert 26 <= wait.time.now <= 30
    assert "undertone.invalid" in wait.lines[0]
    assert len(wait.lines) == 3


async def test_without_patience_three_attempts_are_made() -> None:
    wait = Wait(patience=0)
    async with stopped_service() as service:
        with pytest.raises(UnavailableError):
            await wait(service.target)
    assert (len(wait.time.waits), wait.lines) == (2, [])


async def test_an_overloaded_service_is_given_up_after_the_patience(service: FakeClassifier) -> None:
    service.faults.extend([Fault(grpc.StatusCode.RESOURCE_EXHAUSTED)] * 1000)
    wait = Wait(patience=20)
    with pytest.raises(OverloadedError):
        await wait(service.target)
    assert wait.time.now <= 20


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, AccessDeniedError),
        (grpc.StatusCode.PERMISSION_DENIED, AccessDeniedError),
        (grpc.StatusCode.UNIMPLEMENTED, NotUndertoneError),
        (grpc.StatusCode.NOT_FOUND, NotUndertoneError),
    ],
)
async def test_errors_that_time_does_not_change_are_raised_at_once(
    service: FakeClassifier, status: grpc.StatusCode, error: type[Exception]
) -> None:
    service.faults.append(Fault(status))
    wait = Wait(patience=600)
    with pytest.raises(error):
        await wait(service.target)
    assert (wait.time.waits, wait.lines, len(service.calls)) == ([], [], 1)


async def _answer_with_http1(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
    writer.close()


async def test_tls_on_one_side_only_and_other_protocols_are_raised_at_once(service: FakeClassifier) -> None:
    server = await asyncio.start_server(_answer_with_http1, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        uses_no_tls = "does not use TLS, but this command does: remove --tls, and unset UNDERTONE_TLS."
        for target, tls, message in (
            (service.target, Tls(), uses_no_tls),
            (f"127.0.0.1:{port}", Tls(), uses_no_tls),
            (f"127.0.0.1:{port}", None, "does not serve gRPC, but HTTP/1. Name the gRPC port with --target"),
        ):
            wait = Wait(patience=600, tls=tls)
            with pytest.raises(UnavailableError) as raised:
                await wait(target)
            assert wait.time.waits == []
            explained = command_error(raised.value, target)
            assert isinstance(explained, CommandError)
            assert explained.exit_code == ExitCode.UNREACHABLE
            assert message in explained.message


async def test_a_certificate_of_another_authority_is_raised_at_once(certificate: tuple[Path, Path]) -> None:
    chain, key = certificate
    credentials = grpc.ssl_server_credentials([(key.read_bytes(), chain.read_bytes())])
    async with FakeClassifier(credentials=credentials) as service:
        wait = Wait(patience=600, tls=Tls())  # the system's roots do not contain the test's authority
        with pytest.raises(UnavailableError, match="CERTIFICATE_VERIFY_FAILED"):
            await wait(service.target)
        # gRPC may first report that the other address of localhost, of IPv6, refuses connections.
        assert wait.time.now < 60
        wait = Wait(patience=600)
        with pytest.raises(TlsMismatchError) as raised:
            await wait(service.target)
        assert wait.time.now < 60
        assert command_error(raised.value, "a:1").format_message() == "a:1 uses TLS, but this command does not: add --tls."
        wait = Wait(patience=600, tls=Tls(ca_file=chain))
        assert await wait(service.target) == "fake"
