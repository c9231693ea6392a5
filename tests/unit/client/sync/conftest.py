"""A synchronous client of a fake service in a thread."""

from collections.abc import Iterator

import pytest
from undertone_client.sync import Client
from undertone_client.testing import FakeClassifier


@pytest.fixture
def client(threaded_service: FakeClassifier) -> Iterator[Client]:
    with Client(threaded_service.target) as opened:
        yield opened
