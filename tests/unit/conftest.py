"""Fake services: on the loop of the test, in a thread, or in a process."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextlib import contextmanager

import pytest
from undertone_client.testing import FakeClassifier


@pytest.fixture
async def service() -> AsyncIterator[FakeClassifier]:
    """A fake service on the loop of the test."""
    async with FakeClassifier() as fake:
        yield fake


@pytest.fixture
def threaded_service() -> Iterator[FakeClassifier]:
    """A fake service on a loop in a thread, for tests that block."""
    with serving(FakeClassifier()) as fake:
        yield fake


@contextmanager
def serving(fake: FakeClassifier) -> Iterator[FakeClassifier]:
    """Runs a fake service on a loop in a thread."""
    ready: Future[asyncio.AbstractEventLoop] = Future()
    stopped = asyncio.Event()

    async def serve() -> None:
        async with fake:
            ready.set_result(asyncio.get_running_loop())
            await stopped.wait()

    # `asyncio.run` ends the tasks of cancelled calls, which otherwise are errors in a later test.
    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    loop = ready.result(60)
    try:
        yield fake
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join()


@pytest.fixture(scope="session")
def target() -> Iterator[str]:
    """Address of a fake service in a process of its own."""
    command = [sys.executable, "-m", "undertone_client.testing"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stdout is not None
        yield f"127.0.0.1:{process.stdout.readline().strip()}"
        process.terminate()
