"""Ways to score the same kind of paragraphs, to be compared."""

import asyncio
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from undertone_client import Client, Failure, Settings

from undertone_bench.errors import BenchError
from undertone_bench.paragraphs import Paragraph
from undertone_bench.pods import ModelServer, Pod
from undertone_bench.served import Batch, ServedModel, presorted
from undertone_bench.usage import CpuMeter
from undertone_bench.work import operations
from undertone_bench.worker import Worker

CLIENT = "client"
"""The bench's own process."""

PATIENT: Final = Settings(timeout_seconds=120.0)
"""A large model on few cores takes longer for all that is in flight than the client waits by default."""


@dataclass(frozen=True, slots=True)
class Run:
    """What an arm did once.

    `tokens` and `operations` are what the model had to read and compute, `padded_tokens` what it was given; `latencies` are of
    calls, in seconds; `cpu_seconds` are by process.
    """

    paragraphs: int
    seconds: float
    tokens: int
    operations: int
    padded_tokens: int
    cpu_seconds: Mapping[str, float]
    latencies: tuple[float, ...] = ()


class Arm(Protocol):
    """A way to score paragraphs."""

    @property
    def name(self) -> str: ...

    def warm(self) -> None:
        """Has the first calls at new lengths, which are slow, behind it."""

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

    def warm(self) -> None:
        server = ModelServer(self.pod.model_server, self.model)
        for length in sorted({batch.input_ids.shape[1] for batch in self._batches()}):
            server.predict(Batch.of([np.ones(length, np.int32)]))
        server.close()

    def _batches(self) -> Iterator[Batch]:
        for start in range(0, len(self.paragraphs), self.together):
            texts = [paragraph.text for paragraph in self.paragraphs[start : start + self.together]]
            yield Batch.of(list(self.model.sequences(texts, truncate=self.truncate)), self.length)

    def run(self) -> Run:
        server = ModelServer(self.pod.model_server, self.model)
        latencies, padded = [], 0
        meter = CpuMeter({CLIENT: os.getpid(), **self.pod.pids})
        started = begun = time.perf_counter()
        for batch in self._batches():
            server.predict(batch)
            latencies.append(time.perf_counter() - begun)
            padded += batch.input_ids.size
            begun = time.perf_counter()
        seconds = time.perf_counter() - started
        cpu_seconds = meter.read()
        server.close()
        lengths = self.model.lengths([paragraph.text for paragraph in self.paragraphs], truncate=self.truncate)
        return Run(
            paragraphs=len(self.paragraphs),
            seconds=seconds,
            tokens=sum(lengths),
            operations=operations(self.model.contract.architecture, lengths),
            padded_tokens=padded,
            cpu_seconds=cpu_seconds,
            latencies=tuple(latencies),
        )


class Undertone:
    """The whole path: client library, sidecar, model server. The client keeps what it has learned of the service."""

    name = "undertone"

    def __init__(self, pod: Pod, model: ServedModel, paragraphs: Sequence[Paragraph], runner: asyncio.Runner) -> None:
        self._pod = pod
        self._texts = [paragraph.text for paragraph in paragraphs]
        lengths = model.lengths(self._texts)
        self._tokens, self._operations = sum(lengths), operations(model.contract.architecture, lengths)
        self._client = Client(pod.target, settings=PATIENT)
        self._runner = runner

    def warm(self) -> None:
        self.run()  # which is also where the client learns how much it may ask at once

    def run(self) -> Run:
        padded = self._pod.padded_tokens()
        meter = CpuMeter({CLIENT: os.getpid(), **self._pod.pids})
        started = time.perf_counter()
        self._runner.run(self._score())
        seconds = time.perf_counter() - started
        cpu_seconds = meter.read()
        padded = self._pod.padded_tokens() - padded
        return Run(len(self._texts), seconds, self._tokens, self._operations, round(padded), cpu_seconds)

    async def _score(self) -> None:
        async with self._client as client:
            async for outcome in client.score(self._texts, ordered=False):
                if isinstance(outcome, Failure):
                    raise BenchError(f"a paragraph failed: {outcome.status.name}: {outcome.reason}")


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
        self._tokens = sum(len(ids) for ids in sequences)
        self._operations = operations(model.contract.architecture, map(len, sequences))
        self._batches = presorted(sequences, budget)

    def warm(self) -> None:
        # OpenVINO prepares itself anew for each number of rows, too.
        self._worker.compute(self._engine, self._batches)

    def run(self) -> Run:
        computed = self._worker.compute(self._engine, self._batches)
        padded = sum(batch.input_ids.size for batch in self._batches)
        cpu_seconds = {"worker": computed.cpu_seconds}
        return Run(self._paragraphs, computed.seconds, self._tokens, self._operations, padded, cpu_seconds)
