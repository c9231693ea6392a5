"""A simulated TF Serving for tests on a virtual clock, whose runs cannot be stopped."""

import asyncio
import math
import random
from dataclasses import dataclass, field

import numpy as np

from undertone_sidecar.backend import Batch, Scores
from undertone_sidecar.errors import DeadlineError, OverloadedError


@dataclass(slots=True, eq=False)
class _Run:
    """One run of the graph. `work` is its remaining seconds on a core of its own."""

    work: float
    ended: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class SimulatedModelServer:
    """A Backend whose runs take time on a number of cores, as those of TF Serving.

    A run is computed to its end, even if its call was cancelled or its timeout passed. Runs share
    the cores equally, and each uses `run_cores` at most. Calls beyond the number of threads fail
    with OverloadedError.

    Attributes:
        slowdown: Factor of the duration of the runs that start from now on.
        busy_seconds: CPU seconds of all runs so far.
        max_runs: Maximum number of concurrent runs so far.
        shapes: Rows and length of the batches so far.
    """

    def __init__(
        self,
        *,
        cores: int,
        threads: int,
        call_seconds: float,
        token_seconds: float,
        run_cores: float = 1.0,
        contention: float = 0.0,
        attention_length: float = math.inf,
        noise: float = 0.0,
        seed: int = 0,
    ) -> None:
        """Creates an idle server.

        Args:
            cores: Cores that the runs share.
            threads: Maximum number of concurrent runs.
            call_seconds: Fixed duration of a run on one core.
            token_seconds: Additional duration for each padded token.
            run_cores: Maximum number of cores that a run uses.
            contention: Additional duration of a run for each run beside it, as a share. Cores share
                caches and memory.
            attention_length: Length of the rows at which the duration for each token is doubled.
            noise: Standard deviation of the duration, as a share of the duration.
            seed: Seed of the noise.
        """
        self.slowdown = 1.0
        self.busy_seconds = 0.0
        self.max_runs = 0
        self.shapes: list[tuple[int, int]] = []
        self._cores = cores
        self._threads = threads
        self._call_seconds = call_seconds
        self._token_seconds = token_seconds
        self._run_cores = run_cores
        self._contention = contention
        self._attention_length = attention_length
        self._noise = noise
        self._random = random.Random(seed)  # noqa: S311 — not for cryptography
        self._runs: list[_Run] = []
        self._updated_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def runs(self) -> int:
        """Number of concurrent runs now."""
        return len(self._runs)

    async def predict(self, batch: Batch, *, timeout: float | None) -> Scores:  # noqa: ASYNC109
        if len(self._runs) >= self._threads:
            raise OverloadedError("the model server is overloaded: retry later")
        rows, length = batch.input_ids.shape
        self.shapes.append((rows, length))
        factor = max(0.5, 1 + self._noise * self._random.gauss(0, 1)) * self.slowdown
        token_seconds = self._token_seconds * (1 + length / self._attention_length)
        run = _Run((self._call_seconds + token_seconds * rows * length) * factor)
        self._advance()
        self._runs.append(run)
        self.max_runs = max(self.max_runs, len(self._runs))
        self._set_timer()
        try:
            # A timeout and a cancellation end the call, but not the run.
            async with asyncio.timeout(timeout):
                await asyncio.shield(run.ended)
        except TimeoutError:
            raise DeadlineError("the model server did not respond in time") from None
        return np.full((rows, 2), 0.5, dtype=np.float32)

    @property
    def _cores_per_run(self) -> float:
        return min(self._run_cores, self._cores / max(1, len(self._runs)))

    @property
    def _speed(self) -> float:
        """Seconds of work that a run does in a second."""
        return self._cores_per_run / (1 + self._contention * max(0, len(self._runs) - 1))

    def _advance(self) -> None:
        """Computes the runs up to the present time, and ends those that are complete."""
        now = asyncio.get_running_loop().time()
        elapsed, self._updated_at = now - self._updated_at, now
        self.busy_seconds += elapsed * self._cores_per_run * len(self._runs)
        for run in self._runs:
            run.work -= elapsed * self._speed
        for run in [run for run in self._runs if run.work <= 1e-9]:
            self._runs.remove(run)
            run.ended.set_result(None)

    def _set_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._runs:
            seconds = min(run.work for run in self._runs) / self._speed
            self._timer = asyncio.get_running_loop().call_later(seconds, self._on_timer)

    def _on_timer(self) -> None:
        self._advance()
        self._set_timer()
