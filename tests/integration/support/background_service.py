"""A scripted service with its own thread, for tests that block while the service runs."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from undertone_client.testing import FakeClassifier, ReceivedCall

from tests.integration.support.processes import TIMEOUT_SECONDS

T = TypeVar("T")


class BackgroundService:
    """A FakeClassifier on an event loop in a background thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="service")
        self._thread.start()
        self.fake = FakeClassifier()
        self.calls: list[ReceivedCall] = []
        self._await(self.fake.__aenter__())

    @property
    def target(self) -> str:
        return self.fake.target

    def close(self) -> None:
        self.open_gate()
        self._await(self.fake.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def close_gate(self) -> None:
        """Holds back the replies to all calls with paragraphs."""
        self._loop.call_soon_threadsafe(self.fake.gate.clear)

    def open_gate(self) -> None:
        """Releases all replies."""
        self._loop.call_soon_threadsafe(self.fake.gate.set)

    def hold(self, text: str) -> None:
        """Holds back the replies to calls with this text."""
        self._loop.call_soon_threadsafe(self.fake.gates.__setitem__, text, asyncio.Event())

    def release(self, text: str) -> None:
        """Releases the replies to calls with this text."""
        self._loop.call_soon_threadsafe(self.fake.gates[text].set)

    def wait_for_in_flight(self, calls: int) -> None:
        """Waits until `calls` calls are in flight."""
        self._await(self.fake.until_in_flight(calls))

    def received_texts(self) -> list[str]:
        """The texts of all calls since the last invocation, with repetitions.

        Sets `calls` to the calls.
        """
        texts = self.fake.paragraphs()
        self.calls = list(self.fake.calls)
        self.fake.calls.clear()
        return texts

    def _await(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(TIMEOUT_SECONDS)
