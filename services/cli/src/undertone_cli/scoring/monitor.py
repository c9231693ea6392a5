"""Counts of a run, samples of its throughput, and notifications of changes."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from undertone_client.resilience.resilient_transport import ClientState

from undertone_cli.run_folder import Sample, Throughput

TICK_SECONDS = 1.0


@dataclass(slots=True)
class RunCounts:
    """Counts of paragraphs while a run changes them.

    Attributes:
        total: paragraphs of the input; None while unknown.
        kept: paragraphs with a score of an earlier run.
        scored: paragraphs that this run scored.
        failed: paragraphs that failed in this run.
        short: paragraphs that are not scored, because they are too short.
        repeated: paragraphs of `scored` and `failed` that were not sent, because another paragraph
            has the same text.
        bad_lines: lines that were skipped, because they cannot be read. Set at checkpoints.
        tokens: tokens of `kept` and `scored`.
        labels: number of paragraphs of `kept` and `scored` with each label. A multi-label model
            assigns several labels to a paragraph, or none.
        unlabelled: paragraphs of `kept` and `scored` without a label.
        flags: number of paragraphs of `kept` and `scored` with each flag.
        statuses: names of the gRPC status codes of `failed`.
    """

    total: int | None = None
    kept: int = 0
    scored: int = 0
    failed: int = 0
    short: int = 0
    repeated: int = 0
    bad_lines: int = 0
    tokens: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    unlabelled: int = 0
    flags: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)

    @property
    def done(self) -> int:
        """Paragraphs that are kept, scored, failed or too short."""
        return self.kept + self.scored + self.failed + self.short

    @property
    def to_score(self) -> int | None:
        """Paragraphs that this run has to score; None while the total is unknown."""
        return None if self.total is None else self.total - self.kept - self.short

    @property
    def outcomes(self) -> dict[str, int]:
        """Paragraphs that this run finished, by the name of the gRPC status code."""
        return {"OK": self.scored, **self.statuses}

    @property
    def tokens_per_paragraph(self) -> float | None:
        """The mean of `tokens` of a kept or scored paragraph; None without any."""
        paragraphs = self.kept + self.scored
        return self.tokens / paragraphs if paragraphs else None

    def add_kept(self, labels: Sequence[str], tokens: int, flags: Sequence[str] = ()) -> None:
        """Count a paragraph with a score of an earlier run."""
        self.kept += 1
        self._add(labels, tokens, flags)

    def add_scored(self, labels: Sequence[str], tokens: int, flags: Sequence[str] = ()) -> None:
        """Count a paragraph that this run scored."""
        self.scored += 1
        self._add(labels, tokens, flags)

    def add_failed(self, status: str) -> None:
        """Count a failed paragraph; `status` is the name of a gRPC status code."""
        self.failed += 1
        self.statuses[status] += 1

    def _add(self, labels: Sequence[str], tokens: int, flags: Sequence[str]) -> None:
        self.tokens += tokens
        self.flags.update(flags)
        self.labels.update(labels)
        self.unlabelled += not labels


GetState = Callable[[], ClientState]
"""Returns the client's state. Called only if the state is needed, because it copies all counts."""
OnChange = Callable[[RunCounts, GetState], None]
"""Receives the counts after each change."""


def ignore_changes(counts: RunCounts, get_state: GetState) -> None:
    """Does nothing."""


class RunMonitor:
    """Samples the throughput, and calls `on_change` after each change and every TICK_SECONDS.

    Args:
        counts: the counts that the run changes.
        throughput: samples of the folder's earlier runs; new ones are added.
        get_state: returns the client's state.
        seconds: time that earlier runs spent scoring.
        on_change: called with the counts and `get_state`.
        clock: a monotonic clock, in seconds.
        sleep: sleeps for a number of seconds.
    """

    def __init__(
        self,
        counts: RunCounts,
        throughput: Throughput,
        get_state: GetState,
        seconds: float,
        *,
        on_change: OnChange = ignore_changes,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._counts = counts
        self._throughput = throughput
        self._earlier_paragraphs = throughput.paragraphs
        self._get_state = get_state
        self._on_change = on_change
        self._clock = clock
        self._sleep = sleep
        self._start = clock() - seconds

    @property
    def seconds(self) -> float:
        """Time that all runs of the folder spent scoring."""
        return self._clock() - self._start

    def notify(self) -> None:
        """Add a sample if one is due, and call `on_change`."""
        if self._throughput.is_due(self.seconds):
            self.sample()
        self._on_change(self._counts, self._get_state)

    def sample(self) -> None:
        """Add a sample now."""
        state = self._get_state()
        paragraphs = self._earlier_paragraphs + self._counts.scored + self._counts.failed
        self._throughput.add(Sample(round(self.seconds, 3), paragraphs, state.in_flight, state.limit, state.breaker))

    @asynccontextmanager
    async def ticking(self) -> AsyncIterator[None]:
        """Call `notify` every TICK_SECONDS inside this context."""
        self.sample()
        ticks = asyncio.create_task(self._tick())
        try:
            yield
        finally:
            ticks.cancel()
            await asyncio.gather(ticks, return_exceptions=True)

    async def _tick(self) -> None:
        while True:
            await self._sleep(TICK_SECONDS)
            self.notify()
