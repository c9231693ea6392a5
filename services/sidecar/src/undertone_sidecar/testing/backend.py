"""A fake Backend without a model server, and a fake clock."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from undertone_sidecar.backend import Batch, Scores, Tokens


@dataclass(slots=True)
class FakeClock:
    """A clock in seconds that only `advance` moves."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


def probabilities(input_ids: Tokens, attention_mask: Tokens, *, labels: int, multi_label: bool = False) -> Scores:
    """Scores that depend only on each unmasked token and its position: shape [rows, labels].

    They are distributions (softmax). With `multi_label`, they are independent (sigmoid).
    """
    positions = np.arange(1, input_ids.shape[1] + 1)
    columns = np.arange(1, labels + 1)
    waves = np.sin(input_ids[:, :, None] * columns * 0.7 + positions[None, :, None] * 0.3)
    logits = (waves * attention_mask[:, :, None]).sum(axis=1) / np.maximum(attention_mask.sum(axis=1), 1)[:, None]
    exponentials = np.exp(4 * logits)
    sums = exponentials + 1 if multi_label else exponentials.sum(axis=1, keepdims=True)
    scores: Scores = (exponentials / sums).astype(np.float32)
    return scores


class FakeBackend:
    """A Backend that returns `probabilities` and records its calls.

    Attributes:
        labels: Number of labels.
        multi_label: Whether the scores are those of a multi-label model.
        batches: Batches of the calls so far.
        timeouts: Timeouts of the calls so far, in seconds, or None.
        in_flight: Number of calls in flight.
        max_in_flight: Maximum of `in_flight` so far.
        fails: Called with each batch. Returns an error to raise, or None.
    """

    def __init__(
        self, *, labels: int = 9, multi_label: bool = False, clock: FakeClock | None = None, seconds: float = 0.0
    ) -> None:
        """Each call advances `clock` by `seconds`."""
        self.labels = labels
        self.multi_label = multi_label
        self.batches: list[Batch] = []
        self.timeouts: list[float | None] = []
        self.in_flight = 0
        self.max_in_flight = 0
        self.fails: Callable[[Batch], Exception | None] = lambda _: None
        self._clock = clock
        self._seconds = seconds
        self._called = asyncio.Event()
        self._released = asyncio.Event()
        self._released.set()

    async def wait_for_calls(self, count: int = 1) -> None:
        """Waits until there were `count` calls in total."""
        while len(self.batches) < count:
            self._called.clear()
            await self._called.wait()

    def hold(self) -> None:
        """Makes calls hang until `release`."""
        self._released.clear()

    def release(self) -> None:
        """Lets all calls finish."""
        self._released.set()

    async def predict(self, batch: Batch, *, timeout: float | None) -> Scores:  # noqa: ASYNC109
        self.batches.append(batch)
        self.timeouts.append(timeout)
        self._called.set()
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        try:
            await self._released.wait()
            await asyncio.sleep(0)
            if self._clock:
                self._clock.advance(self._seconds)
            if error := self.fails(batch):
                raise error
            return probabilities(batch.input_ids, batch.attention_mask, labels=self.labels, multi_label=self.multi_label)
        finally:
            self.in_flight -= 1
