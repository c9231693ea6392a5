"""The client under faults, as in tests/simulation, with real processes and sockets.

The tests assert the results of the paragraphs, not times, which depend on the machine.
"""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from undertone_bench.processes import free_ports
from undertone_client import Client, Outcome, Paragraph, RetryPolicy, Settings

from tests.integration.conftest import Pod
from tests.integration.support.callers import TOLERANCE
from tests.integration.support.processes import Launcher, Process, until
from tests.simulation.support.answers import assert_answered, paragraphs

QUICK = RetryPolicy(attempts=12, initial_seconds=0.02, max_seconds=0.5)
"""Short delays, for processes that restart within two seconds."""

Start = Callable[..., "Server"]


class Server(Process):
    """A Python module that serves the Classifier's API. Its port stays the same over restarts."""

    def __init__(self, module: str, *arguments: str, log: Path) -> None:
        (self.port,) = free_ports(1)
        super().__init__("python", "-m", module, *arguments, f"--port={self.port}", log=log)

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    def until_listening(self, times: int = 1) -> None:
        """Waits until the log contains the port `times` times."""
        self.until(lambda: self.log.splitlines().count(str(self.port)) >= times, f"it listens for the {times}. time")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a server, waits until it listens, and stops it after the test."""
    with contextlib.ExitStack() as stack:

        def start_server(module: str, *arguments: str) -> Server:
            server = Server(module, *arguments, log=tmp_path / f"{len(list(tmp_path.iterdir()))}.log")
            stack.callback(server.stop)
            server.until_listening()
            return server

        yield start_server


async def score(target: str, sent: list[Paragraph], outcomes: list[Outcome], *, timeout_seconds: float = 30.0) -> None:
    settings = Settings(timeout_seconds=timeout_seconds, retry=QUICK, batch_items=4)
    async with Client(target, settings=settings) as client:
        async for outcome in client.score(sent, ordered=False):
            outcomes.append(outcome)  # noqa: PERF401 - the tests watch the length of the list


async def wait_for_more(outcomes: list[Outcome], count: int) -> None:
    """Waits for `count` further outcomes."""
    goal = len(outcomes) + count
    await asyncio.to_thread(until, lambda: len(outcomes) >= goal, f"{goal} paragraphs are answered")


async def test_killed_service_loses_nothing(start: Start) -> None:
    service = start("undertone_client.testing", "--delay=0.01")
    sent = paragraphs(1000)
    outcomes: list[Outcome] = []
    scoring = asyncio.create_task(score(service.target, sent, outcomes))
    for restarts in (1, 2):
        await wait_for_more(outcomes, 200)
        service.kill()
        service.start()
        await asyncio.to_thread(service.until_listening, restarts + 1)
    await scoring
    assert_answered(sent, outcomes)


async def test_calls_to_a_hanging_service_are_retried(start: Start) -> None:
    service = start("undertone_client.testing", "--delay=0.01")
    sent = paragraphs(600)
    outcomes: list[Outcome] = []
    scoring = asyncio.create_task(score(service.target, sent, outcomes, timeout_seconds=0.5))
    await wait_for_more(outcomes, 100)
    with service.paused():
        await asyncio.sleep(1.5)  # longer than the deadline of a call
    await scoring
    assert_answered(sent, outcomes)


async def test_second_service_replaces_a_killed_one(start: Start) -> None:
    one, other = (start("undertone_client.testing", "--delay=0.01") for _ in range(2))
    sent = paragraphs(600)
    outcomes: list[Outcome] = []
    scoring = asyncio.create_task(score(f"ipv4:{one.target},{other.target}", sent, outcomes))
    await wait_for_more(outcomes, 100)
    one.kill()
    await scoring
    assert_answered(sent, outcomes)


async def test_random_failures_are_retried(start: Start) -> None:
    shares = {"unavailable": 0.02, "reset": 0.01, "cancelled": 0.01, "exhausted": 0.01, "refused-items": 0.02, "lost": 0.002}
    fleet = start("undertone_bench", "simulation", "serve", *(f"--{fault}={share}" for fault, share in shares.items()))
    sent = paragraphs(2000)
    outcomes: list[Outcome] = []
    await score(fleet.target, sent, outcomes, timeout_seconds=1.0)
    assert_answered(sent, outcomes)


async def test_second_sidecar_replaces_a_draining_one(pod: Pod, launch: Launcher) -> None:
    first = launch.sidecar(pod.base, pod.model_server.target, "--drain-delay-seconds=0.2").until_serving()
    second = launch.sidecar(pod.base, pod.model_server.target).until_serving()
    sent = paragraphs(600, longest=20)
    async with Client(second.target) as client:
        alone = {outcome.paragraph.id: outcome async for outcome in client.score(sent)}
    targets = ",".join(sidecar.target.replace("localhost", "127.0.0.1") for sidecar in (first, second))
    outcomes: list[Outcome] = []
    scoring = asyncio.create_task(score(f"ipv4:{targets}", sent, outcomes))
    await wait_for_more(outcomes, 100)
    first.signal(signal.SIGTERM)
    assert await asyncio.to_thread(first.wait) == 0
    await scoring
    assert sorted(int(outcome.paragraph.id) for outcome in outcomes) == list(range(len(sent)))
    for outcome in outcomes:
        expected = alone[outcome.paragraph.id]
        assert getattr(outcome, "probabilities", None) == pytest.approx(getattr(expected, "probabilities", ()), abs=TOLERANCE)
