"""Load on a fleet: jobs, which the real client's limit paces, and readers, who arrive at random.

Both send `WorkRequest`s through the client's limit, circuit breaker and retries. What the client
does above them, reading and sorting paragraphs, takes no virtual time.
"""

import asyncio
import math
import random
from collections import Counter
from dataclasses import dataclass, field

from undertone_cli.quantiles import quantile
from undertone_client import Mode, ServiceError, Settings

from undertone_planner.fleet.fleet import Fleet
from undertone_planner.fleet.transport import WorkRequest, work_transport
from undertone_planner.fleet.work import Lane, Work


@dataclass(frozen=True, slots=True)
class Lengths:
    """Lengths of paragraphs in tokens, and the share of each length."""

    tokens: tuple[float, ...]
    shares: tuple[float, ...]

    @classmethod
    def equal(cls, tokens: float) -> "Lengths":
        """All paragraphs have the same length."""
        return cls((tokens,), (1.0,))

    @property
    def mean(self) -> float:
        """Mean tokens of a paragraph."""
        return sum(tokens * share for tokens, share in zip(self.tokens, self.shares, strict=True)) / sum(self.shares)

    def draw(self, random: random.Random) -> float:
        """The length of a paragraph."""
        return self.tokens[0] if len(self.tokens) == 1 else random.choices(self.tokens, self.shares)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSettings:
    """A job, such as `undertone score` or the Spark job.

    paragraphs: number of paragraphs.
    lengths: their lengths. The paragraphs of a call have the same length, because the client sorts.
    start_seconds: arrival of the job, from the call of `Job.run`.
    clients: processes with a client of their own, such as Spark's Python workers.
    client: the settings of each. `batch_items` is the number of paragraphs of a call.
    """

    paragraphs: int
    lengths: Lengths
    start_seconds: float = 0.0
    clients: int = 1
    client: Settings = field(default_factory=Settings)


@dataclass(slots=True)
class Job:
    """A job and its progress.

    answered, failed: paragraphs with a score, and without one after all retries. Their sum is
        `settings.paragraphs` at the end: each paragraph has exactly one outcome.
    started_at, ended_at: times of the loop's clock. NaN before.
    """

    settings: JobSettings
    seed: int = 0
    answered: int = 0
    failed: int = 0
    started_at: float = math.nan
    ended_at: float = math.nan
    _sent: int = 0
    _total: int = field(init=False)

    def __post_init__(self) -> None:
        self._total = self.settings.paragraphs

    @property
    def remaining(self) -> int:
        """Paragraphs without an outcome: the backlog."""
        return self._total - self.answered - self.failed

    def stop(self) -> None:
        """Send no further paragraphs. `run` ends when those in flight have their outcomes."""
        self._total = self._sent

    @property
    def seconds(self) -> float:
        """Duration of the job."""
        return self.ended_at - self.started_at

    @property
    def paragraphs_per_second(self) -> float:
        """Mean rate of answers over the whole job."""
        return self.answered / self.seconds

    async def run(self, fleet: Fleet) -> None:
        """Score all paragraphs."""
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(self.settings.start_seconds)
        self.started_at = clock()
        async with asyncio.TaskGroup() as clients:
            for index in range(self.settings.clients):
                clients.create_task(self._run_client(fleet, self.seed * 10_007 + index), name=f"client {index}")
        self.ended_at = clock()

    async def _run_client(self, fleet: Fleet, seed: int) -> None:
        settings = self.settings
        transport = work_transport(fleet, settings.client, seed=seed)
        lengths = random.Random(seed)
        calls: set[asyncio.Task[None]] = set()
        ended = asyncio.Event()

        async def send(paragraphs: int) -> None:
            work = Work(paragraphs * settings.lengths.draw(lengths), paragraphs, Lane.BATCH)
            try:
                await transport.send(WorkRequest.of(work), transport.start_call(Mode.BATCH))
            except ServiceError:
                self.failed += paragraphs
            else:
                self.answered += paragraphs

        def on_done(task: asyncio.Task[None]) -> None:
            calls.discard(task)
            ended.set()

        try:
            while calls or self._sent < self._total:
                # As the client's stream: as many calls as the limit wants, and those in backoff.
                while len(calls) < transport.desired_calls and self._sent < self._total:
                    paragraphs = min(settings.client.batch_items, self._total - self._sent)
                    self._sent += paragraphs
                    task = asyncio.create_task(send(paragraphs))
                    calls.add(task)
                    task.add_done_callback(on_done)
                ended.clear()
                await ended.wait()
        finally:
            for task in calls:
                task.cancel()
            await asyncio.gather(*calls, return_exceptions=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderSettings:
    """Readers, who each send one paragraph and wait for its answer.

    rate_per_second: mean rate of the arrivals, which are a Poisson process (open loop: a slow fleet
        gets as many calls).
    lengths: lengths of their paragraphs.
    client: the client's settings; `deadline_seconds` bounds the wait of a reader.
    """

    rate_per_second: float
    lengths: Lengths
    client: Settings = field(default_factory=lambda: Settings(deadline_seconds=10.0, timeout_seconds=10.0))


@dataclass(slots=True)
class Readers:
    """Readers and their waits.

    latencies: seconds until the answer, for each answered call.
    failures: number of failed calls by status.
    """

    settings: ReaderSettings
    seed: int = 0
    latencies: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)

    @property
    def failed(self) -> int:
        """Number of failed calls."""
        return self.failures.total()

    def quantile(self, share: float) -> float:
        """The latency in seconds that this share of the answered calls does not exceed."""
        return quantile(self.latencies, share)

    async def run(self, fleet: Fleet, seconds: float) -> None:
        """Send calls for this time, and wait for their answers."""
        loop = asyncio.get_running_loop()
        transport = work_transport(fleet, self.settings.client, seed=self.seed)
        arrivals = random.Random(self.seed)
        end = loop.time() + seconds

        async def read() -> None:
            started = loop.time()
            work = Work(self.settings.lengths.draw(arrivals), 1, Lane.ONLINE)
            try:
                await transport.send(WorkRequest.of(work), transport.start_call(Mode.ONLINE))
            except ServiceError as error:
                self.failures[error.status.name] += 1
            else:
                self.latencies.append(loop.time() - started)

        async with asyncio.TaskGroup() as calls:
            while True:
                await asyncio.sleep(arrivals.expovariate(self.settings.rate_per_second))
                if loop.time() >= end:
                    break
                calls.create_task(read())
