"""Ways to score paragraphs with one model, to be compared."""

import asyncio
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from undertone_client import Client, Failure, Settings

from undertone_bench.errors import BenchError
from undertone_bench.flops import operations
from undertone_bench.inference_worker import InferenceWorker
from undertone_bench.models import Batch, BenchModel, optimal_batches
from undertone_bench.pods import Pod, PredictClient
from undertone_bench.processes import CpuMeter
from undertone_bench.workload import Paragraph

CLIENT: Final = "client"
"""Name of the benchmark's own process in CPU times."""

LONG_TIMEOUT: Final = Settings(timeout_seconds=120.0)
"""Client settings for large models on few cores, where the default timeout is too short."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a variant.

    `tokens` and `operations` exclude padding, `padded_tokens` includes it. `latencies` are seconds
    per call. `cpu_seconds` is by process name.
    """

    paragraphs: int
    seconds: float
    tokens: int
    operations: int
    padded_tokens: int
    cpu_seconds: Mapping[str, float]
    latencies: tuple[float, ...] = ()

    @property
    def rate(self) -> float:
        """Paragraphs per second."""
        return self.paragraphs / self.seconds


class Variant(Protocol):
    """A way to score paragraphs."""

    @property
    def name(self) -> str: ...

    def warm_up(self) -> None:
        """Make the slow first calls at each length."""

    def run(self) -> Run:
        """Score the variant's paragraphs, the same in every run."""


@dataclass(frozen=True, slots=True, eq=False)
class DirectCalls:
    """A synchronous client of the model server. Its time includes tokenizing.

    Each call has `batch_size` paragraphs, padded to the longest or to `length` tokens.
    """

    name: str
    pod: Pod
    model: BenchModel
    paragraphs: Sequence[Paragraph]
    batch_size: int = 1
    length: int = 0
    truncate: bool = False

    def warm_up(self) -> None:
        client = PredictClient(self.pod.model_server, self.model)
        for length in sorted({batch.input_ids.shape[1] for batch in self._batches()}):
            client.predict(Batch.ones(1, length))
        client.close()

    def _batches(self) -> Iterator[Batch]:
        for start in range(0, len(self.paragraphs), self.batch_size):
            texts = [paragraph.text for paragraph in self.paragraphs[start : start + self.batch_size]]
            yield Batch.of(list(self.model.sequences(texts, truncate=self.truncate)), self.length)

    def run(self) -> Run:
        client = PredictClient(self.pod.model_server, self.model)
        latencies, padded_tokens = [], 0
        meter = CpuMeter({CLIENT: os.getpid(), **self.pod.pids})
        started = call_started = time.perf_counter()
        for batch in self._batches():
            client.predict(batch)
            latencies.append(time.perf_counter() - call_started)
            padded_tokens += batch.input_ids.size
            call_started = time.perf_counter()
        seconds = time.perf_counter() - started
        cpu_seconds = meter.read()
        client.close()
        lengths = self.model.lengths([paragraph.text for paragraph in self.paragraphs], truncate=self.truncate)
        return Run(
            paragraphs=len(self.paragraphs),
            seconds=seconds,
            tokens=sum(lengths),
            operations=operations(self.model.contract.architecture, lengths),
            padded_tokens=padded_tokens,
            cpu_seconds=cpu_seconds,
            latencies=tuple(latencies),
        )


class Undertone:
    """Client library, sidecar and model server.

    The client keeps its adaptive limit between runs.
    """

    name = "undertone"

    def __init__(self, pod: Pod, model: BenchModel, paragraphs: Sequence[Paragraph], runner: asyncio.Runner) -> None:
        self._pod = pod
        self._texts = [paragraph.text for paragraph in paragraphs]
        lengths = model.lengths(self._texts)
        self._tokens, self._operations = sum(lengths), operations(model.contract.architecture, lengths)
        self._client = Client(pod.target, settings=LONG_TIMEOUT)
        self._runner = runner

    def warm_up(self) -> None:
        self.run()  # a whole run, in which the client's limit converges

    def run(self) -> Run:
        before = self._pod.sent_tokens()
        meter = CpuMeter({CLIENT: os.getpid(), **self._pod.pids})
        started = time.perf_counter()
        self._runner.run(self._score())
        seconds = time.perf_counter() - started
        cpu_seconds = meter.read()
        padded_tokens = round(self._pod.sent_tokens() - before)
        return Run(len(self._texts), seconds, self._tokens, self._operations, padded_tokens, cpu_seconds)

    async def _score(self) -> None:
        async with self._client as client:
            async for outcome in client.score(self._texts, ordered=False):
                raise_on_failure(outcome)


class InProcess:
    """Optimal batches, prepared in advance and computed without a server: the upper bound of a
    model.
    """

    def __init__(
        self,
        name: str,
        engine: str,
        worker: InferenceWorker,
        model: BenchModel,
        paragraphs: Sequence[Paragraph],
        budget: int,
    ) -> None:
        self.name = name
        self._engine = engine
        self._worker = worker
        self._paragraphs = len(paragraphs)
        sequences = list(model.sequences([paragraph.text for paragraph in paragraphs]))
        self._tokens = sum(len(ids) for ids in sequences)
        self._operations = operations(model.contract.architecture, map(len, sequences))
        self._batches = optimal_batches(sequences, budget)

    def warm_up(self) -> None:
        # All batches, because OpenVINO compiles anew for each number of rows, too.
        self._worker.compute(self._engine, self._batches)

    def run(self) -> Run:
        computed = self._worker.compute(self._engine, self._batches)
        padded_tokens = sum(batch.input_ids.size for batch in self._batches)
        cpu_seconds = {"worker": computed.cpu_seconds}
        return Run(self._paragraphs, computed.seconds, self._tokens, self._operations, padded_tokens, cpu_seconds)


def raise_on_failure(outcome: object) -> None:
    """Raises BenchError if the outcome of a paragraph is a failure."""
    if isinstance(outcome, Failure):
        raise BenchError(f"a paragraph failed: {outcome.status.name}: {outcome.reason}")
