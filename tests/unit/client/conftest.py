"""The fake service, in this process for tests of the library and as a process of its own for tests of the command."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import pytest
from undertone_client.testing import FakeClassifier


@pytest.fixture
async def service() -> AsyncIterator[FakeClassifier]:
    async with FakeClassifier() as fake:
        yield fake


@pytest.fixture(scope="session")
def target() -> Iterator[str]:
    """Address of a fake service that runs beside the tests."""
    command = [sys.executable, "-m", "undertone_client.testing"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stdout is not None
        yield f"127.0.0.1:{process.stdout.readline().strip()}"
        process.terminate()
