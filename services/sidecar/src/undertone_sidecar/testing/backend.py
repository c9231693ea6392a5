"""A model without a model server, and a clock that moves when told."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from undertone_sidecar.backend import Batch, Scores, Tokens


@dataclass(slots=True)
class FakeClock:
    """Seconds that pass when `advance` says so."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


def probabilities(input_ids: Tokens, attention_mask: Tokens, *, labels: int) -> Scores:
    """Distributions that depend on every unmasked token and its place, and on nothing else: shape [rows, labels]."""
    places = np.arange(1, input_ids.shape[1] + 1)
    columns = np.arange(1, labels + 1)
    waves = np.sin(input_ids[:, :, None] * columns * 0.7 + places[None, :, None] * 0.3)
    logits = (waves * attention_mask[:, :, None]).sum(axis=1) / np.maximum(attention_mask.sum(axis=1), 1)[:, None]
    raised = np.exp(4 * logits)
    scores: Scores = (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32)
    return scores


class FakeBackend:
    """A Backend that computes `probabilities` and remembers the batches it was given.

    `fails` is asked before each answer, and what it returns is raised. `seconds` pass on the `clock` in each call. While
    `hold` is in force calls hang until `release`, or until they are cancelled.
    """

    def __init__(self, *, labels: int = 9, clock: FakeClock | None = None, seconds: float = 0.0) -> None:
        self.labels = labels
        self.batches: list[Batch] = []
        self.timeouts: list[float] = []
        self.running = 0
        self.most_running = 0
        self.fails: Callable[[Batch], Exception | None] = lambda _: None
        self._clock = clock
        self._seconds = seconds
        self._asked = asyncio.Event()
        self._open = asyncio.Event()
        self._open.set()

    async def until_asked(self, batches: int = 1) -> None:
        """Waits until so many batches have come in all."""
        while len(self.batches) < batches:
            self._asked.clear()
            await self._asked.wait()

    def hold(self) -> None:
        """Lets no call end."""
        self._open.clear()

    def release(self) -> None:
        """Lets calls end, those that hang included."""
        self._open.set()

    async def predict(self, batch: Batch, *, timeout: float) -> Scores:  # noqa: ASYNC109
        self.batches.append(batch)
        self.timeouts.append(timeout)
        self._asked.set()
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await self._open.wait()
            await asyncio.sleep(0)
            if self._clock:
                self._clock.advance(self._seconds)
            if error := self.fails(batch):
                raise error
            return probabilities(batch.input_ids, batch.attention_mask, labels=self.labels)
        finally:
            self.running -= 1
