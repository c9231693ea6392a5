"""Ways to score the same kind of paragraphs, to be compared."""

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from undertone_client import Client, Failure

from undertone_bench.paragraphs import Paragraph
from undertone_bench.pods import ModelServer, Pod
from undertone_bench.served import Batch, ServedModel, presorted
from undertone_bench.usage import CpuMeter
from undertone_bench.worker import Worker

CLIENT = "client"
"""The bench's own process."""


@dataclass(frozen=True, slots=True)
class Run:
    """What an arm did once.

    `sequences` are the lengths, in tokens, of what the model had to read; `latencies` are those of calls, in seconds;
    `cpu_seconds` are by process.
    """

    paragraphs: int
    seconds: float
    sequences: tuple[int, ...]
    padded_tokens: int
    cpu_seconds: Mapping[str, float]
    latencies: tuple[float, ...] = ()


class Arm(Protocol):
    """A way to score paragraphs."""

    @property
    def name(self) -> str: ...

    def run(self) -> Run:
        """Scores the arm's own paragraphs, the same each time."""


@dataclass(frozen=True, slots=True, eq=False)
class Direct:
    """A synchronous client of the model server that sends `together` paragraphs in a call, each padded to the longest of the
    call, or all to `length` tokens. Tokenizing is part of its time."""

    name: str
    pod: Pod
    model: ServedModel
    paragraphs: Sequence[Paragraph]
    together: int = 1
    length: int = 0
    truncate: bool = False

    def run(self) -> Run:
        server = ModelServer(self.pod.model_server, self.model)
        latencies, lengths, padded = [], [], 0
        meter = CpuMeter({CLIENT: os.getpid(), **self.pod.pids})
        started = time.perf_counter()
        for start in range(0, len(self.paragraphs), self.together):
            begun = time.perf_counter()
            texts = [paragraph.text for paragraph in self.paragraphs[start : start + self.together]]
            sequences = list(self.model.sequences(texts, truncate=self.truncate))
            batch = Batch.of(sequences, self.length)
            server.predict(batch)
            latencies.append(time.perf_counter() - begun)
            lengths += [len(ids) for ids in sequences]
            padded += batch.input_ids.size
        seconds = time.perf_counter() - started
        server.close()
        return Run(len(self.paragraphs), seconds, tuple(lengths), padded, meter.read(), tuple(latencies))


class Undertone:
    """The whole path: client library, sidecar, model server. The client keeps what it has learned of the service."""

    name = "undertone"

    def __init__(self, pod: Pod, model: ServedModel, paragraphs: Sequence[Paragraph], runner: asyncio.Runner) -> None:
        self._pod = pod
        self._texts = [paragraph.text for paragraph in paragraphs]
        self._lengths = tuple(model.lengths(self._texts))
        self._client = Client(pod.target)
        self._runner = runner

    def run(self) -> Run:
        padded = self._pod.padded_tokens()
        meter = CpuMeter({CLIENT: os.getpid(), **self._pod.pids})
        started = time.perf_counter()
        self._runner.run(self._score())
        seconds = time.perf_counter() - started
        cpu_seconds = meter.read()
        padded = self._pod.padded_tokens() - padded
        return Run(len(self._texts), seconds, self._lengths, round(padded), cpu_seconds)

    async def _score(self) -> None:
        async with self._client as client:
            async for outcome in client.score(self._texts, ordered=False):
                if isinstance(outcome, Failure):
                    raise RuntimeError(f"a paragraph failed: {outcome.status.name}: {outcome.reason}")


class InProcess:
    """Batches made beforehand, of sequences in the order of their lengths, computed without a server: what the model can do."""

    def __init__(
        self, name: str, engine: str, worker: Worker, model: ServedModel, paragraphs: Sequence[Paragraph], budget: int
    ) -> None:
        self.name = name
        self._engine = engine
        self._worker = worker
        self._paragraphs = len(paragraphs)
        sequences = list(model.sequences([paragraph.text for paragraph in paragraphs]))
        self._lengths = tuple(len(ids) for ids in sequences)
        self._batches = presorted(sequences, budget)

    def run(self) -> Run:
        computed = self._worker.compute(self._engine, self._batches)
        padded = sum(batch.input_ids.size for batch in self._batches)
        return Run(self._paragraphs, computed.seconds, self._lengths, padded, {"worker": computed.cpu_seconds})
