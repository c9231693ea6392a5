"""The faults of the chaos harness on real processes and sockets: killed, stopped, restarted, drained, and wrong by chance.

Times here are the machine's: what is asserted is what became of the paragraphs, never when.
"""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from undertone_client import Client, Outcome, Paragraph, RetryPolicy, Settings

from tests.integration.conftest import Pod
from tests.integration.support.callers import TOLERANCE
from tests.integration.support.processes import Launcher, Process, until
from tests.simulation.support.answers import assert_answered, paragraphs

QUICK = RetryPolicy(attempts=12, initial_seconds=0.02, max_seconds=0.5)
"""Waits that fit processes which come back within a second or two."""

Start = Callable[..., "Server"]


class Server(Process):
    """A Python module that serves the Classifier's API on a loopback port that it keeps over restarts."""

    def __init__(self, module: str, *arguments: str, log: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        super().__init__("python", "-m", module, *arguments, f"--port={self.port}", log=log)

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    def until_listening(self, times: int = 1) -> None:
        """Waits until it has said so many times which port it listens on."""
        self.until(lambda: self.log.splitlines().count(str(self.port)) >= times, f"it listens for the {times}. time")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts servers that end with the test, and waits until they listen."""
    with contextlib.ExitStack() as stack:

        def begin(module: str, *flags: str) -> Server:
            server = Server(module, *flags, log=tmp_path / f"{len(list(tmp_path.iterdir()))}.log")
            stack.callback(server.stop)
            server.until_listening()
            return server

        yield begin


async def score(target: str, sent: list[Paragraph], into: list[Outcome], *, timeout_seconds: float = 30.0) -> None:
    settings = Settings(timeout_seconds=timeout_seconds, retry=QUICK, batch_items=4)
    async with Client(target, settings=settings) as client:
        async for outcome in client.score(sent, ordered=False):
            into.append(outcome)  # noqa: PERF401 - one by one, as the tests watch how many there are


async def more(outcomes: list[Outcome], count: int) -> None:
    """Waits until so many more paragraphs are answered."""
    goal = len(outcomes) + count
    await asyncio.to_thread(until, lambda: len(outcomes) >= goal, f"{goal} paragraphs are answered")


async def test_a_service_killed_again_and_again_loses_nothing(start: Start) -> None:
    service = start("undertone_client.testing", "--delay=0.01")
    sent = paragraphs(1000)
    outcomes: list[Outcome] = []
    scoring = asyncio.create_task(score(service.target, sent, outcomes))
    for restarts in (1, 2):
        await more(outcomes, 200)
        service.kill()
        service.start()
        await asyncio.to_thread(service.until_listening, restarts + 1)
    await scoring
    assert_answered(sent, outcomes)


async def test_a_service_that_hangs_is_given_up_and_asked_again(start: Start) -> None:
    service = start("undertone_client.testing", "--delay=0.01")
    sent = paragraphs(600)
    outcomes: list[Outcome] = []
    scoring = asyncio.create_task(score(service.target, sent, outcomes, timeout_seconds=0.5))
    await more(outcomes, 100)
    with service.paused():
        await asyncio.sleep(1.5)  # longer than a deadline: calls are given up while it stands still
    await scoring
    assert_answered(sent, outcomes)


async def test_when_one_of_two_services_dies_the_other_takes_over(start: Start) -> None:
    one, other = (start("undertone_client.testing", "--delay=0.01") for _ in range(2))
    sent = paragraphs(600)
    outcomes: list[Outcome] = []
    scoring = asyncio.create_task(score(f"ipv4:{one.target},{other.target}", sent, outcomes))
    await more(outcomes, 100)
    one.kill()
    await scoring
    assert_answered(sent, outcomes)


async def test_calls_that_fail_by_chance_are_answered_in_the_end(start: Start) -> None:
    shares = {"unavailable": 0.02, "reset": 0.01, "cancelled": 0.01, "exhausted": 0.01, "refused-items": 0.02, "lost": 0.002}
    fleet = start("undertone_bench", "simulation", "serve", *(f"--{fault}={share}" for fault, share in shares.items()))
    sent = paragraphs(2000)
    outcomes: list[Outcome] = []
    await score(fleet.target, sent, outcomes, timeout_seconds=1.0)
    assert_answered(sent, outcomes)


async def test_a_sidecar_that_drains_under_a_stream_hands_over_to_the_next(pod: Pod, launch: Launcher) -> None:
    first = launch.sidecar(pod.base, pod.model_server.target, "--drain-delay-seconds=0.2").until_serving()
    second = launch.sidecar(pod.base, pod.model_server.target).until_serving()
    sent = paragraphs(600, longest=20)
    async with Client(second.target) as client:
        alone = {outcome.paragraph.id: outcome async for outcome in client.score(sent)}
    targets = ",".join(sidecar.target.replace("localhost", "127.0.0.1") for sidecar in (first, second))
    outcomes: list[Outcome] = []
    scoring = asyncio.create_task(score(f"ipv4:{targets}", sent, outcomes))
    await more(outcomes, 100)
    first.signal(signal.SIGTERM)
    assert await asyncio.to_thread(first.wait) == 0
    await scoring
    assert sorted(int(outcome.paragraph.id) for outcome in outcomes) == list(range(len(sent)))
    for outcome in outcomes:
        expected = alone[outcome.paragraph.id]
        assert getattr(outcome, "probabilities", None) == pytest.approx(getattr(expected, "probabilities", ()), abs=TOLERANCE)
