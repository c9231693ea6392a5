"""Throughput of three ways to call a fleet: the steps of the paper from 3.3 to 300 per second."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Final

import click
import grpc
import pyarrow as pa
from undertone_client import Client, Settings
from undertone_protos.v1 import classifier_pb2 as pb
from undertone_protos.v1 import classifier_pb2_grpc as pb_grpc

from undertone_bench.errors import BenchError
from undertone_bench.options import FiniteRange, count_option, progress, reporting, seconds_option
from undertone_bench.report import Figure, MedianRange, Report, Table
from undertone_bench.simulated_fleet import running_fleet
from undertone_bench.variants import raise_on_failure

PODS: Final = 90
PARAGRAPH_SECONDS: Final = 0.3
PARAGRAPH: Final = "a paragraph of eighteen words " * 3 + "in all"
TOKENS: Final = len(PARAGRAPH.split()) + 2

FLEET_FLAGS: Final = (
    f"--pods={PODS}",
    "--call-seconds=0",
    f"--token-seconds={PARAGRAPH_SECONDS / TOKENS}",
    f"--choices={PODS}",
)
"""90 pods with one call at a time and 0.3 s per paragraph: 300 paragraphs per second at most."""

BATCH_ITEMS: Final = 4
"""Paragraphs per call for this fleet: the default of 32 would keep one pod busy for 10 s."""

_ARROW_ROWS: Final = 10_000


@dataclass(slots=True)
class _Stopwatch:
    """Counts answers and CPU time after the warm-up."""

    warm_up_seconds: float
    seconds: float
    started: float = field(default_factory=time.monotonic)
    answers: int = 0
    cpu_seconds: float = 0.0
    _cpu_started: float | None = None

    def count(self) -> None:
        if time.monotonic() - self.started >= self.warm_up_seconds:
            if self._cpu_started is None:
                self._cpu_started = time.process_time()
            self.answers += 1

    @property
    def expired(self) -> bool:
        return time.monotonic() - self.started >= self.warm_up_seconds + self.seconds

    def stop(self) -> None:
        if self._cpu_started is not None:
            self.cpu_seconds = time.process_time() - self._cpu_started


@dataclass(frozen=True, slots=True)
class _Result:
    """Paragraphs per second, and CPU microseconds of the caller per paragraph."""

    variant: str
    rate: float
    cpu_microseconds: float


@click.command(
    "client-throughput",
    epilog="""\b
Variants:
  row        one synchronous call after the other, as in a row-at-a-time UDF
  semaphore  asyncio over Arrow record batches, one call per paragraph, a semaphore
  undertone  Client.score with its adaptive limit

\b
Examples:
  undertone-bench client-throughput
  undertone-bench client-throughput --warm-up 10 --seconds 10 --semaphore 75""",
)
@seconds_option("--warm-up", 30.0, "Time before answers count.", FiniteRange(0))
@seconds_option("--seconds", 20.0, "Time during which answers count.")
@count_option("--semaphore", "permits", default=50, help_text="Permits of the variant semaphore.")
@count_option("--batch-items", default=BATCH_ITEMS, help_text="Paragraphs per call of the variant undertone.")
@reporting
def client_throughput(warm_up: float, seconds: float, permits: int, batch_items: int) -> Report:
    """Compare three ways to call a simulated fleet, which answers 300 paragraphs per second.

    The fleet has 90 pods and runs in a separate process behind a real socket. It does not fail.
    """
    variants: dict[str, Callable[[str, _Stopwatch], None]] = {
        "row": _row,
        "semaphore": lambda target, watch: _semaphore(target, watch, permits),
        "undertone": lambda target, watch: _undertone(target, watch, batch_items),
    }
    results = []
    for name, variant in variants.items():
        with running_fleet(FLEET_FLAGS) as target:
            watch = _Stopwatch(warm_up, seconds)
            variant(target, watch)
            watch.stop()
        result = _Result(name, watch.answers / seconds, watch.cpu_seconds / max(1, watch.answers) * 1e6)
        progress(f"{name}: {result.rate:.1f} paragraphs/s")
        if not result.rate:
            raise BenchError(f"{name} got no answer in {seconds:g} s: increase --seconds")
        results.append(result)
    return _report(results)


def _row(target: str, watch: _Stopwatch) -> None:
    with grpc.insecure_channel(target) as channel:
        stub = pb_grpc.ClassifierStub(channel)
        while not watch.expired:
            stub.Classify(pb.ClassifyRequest(text=PARAGRAPH))
            watch.count()


def _semaphore(target: str, watch: _Stopwatch, permits: int) -> None:
    async def main() -> None:
        semaphore = asyncio.Semaphore(permits)
        table = pa.table({"text": [PARAGRAPH] * _ARROW_ROWS})
        async with grpc.aio.insecure_channel(target) as channel:
            stub = pb_grpc.ClassifierStub(channel)

            async def score(text: str) -> None:
                async with semaphore:
                    if not watch.expired:
                        await stub.Classify(pb.ClassifyRequest(text=text))
                        watch.count()

            for batch in itertools.chain.from_iterable(itertools.repeat(table.to_batches())):
                await asyncio.gather(*(score(text) for text in batch.column("text").to_pylist()))
                if watch.expired:
                    return

    asyncio.run(main())


def _undertone(target: str, watch: _Stopwatch, batch_items: int) -> None:
    async def main() -> None:
        settings = Settings(batch_items=batch_items)
        async with (
            Client(target, settings=settings) as client,
            contextlib.aclosing(client.score(itertools.repeat(PARAGRAPH), ordered=False)) as outcomes,
        ):
            async for outcome in outcomes:
                raise_on_failure(outcome)
                watch.count()
                if watch.expired:
                    return

    asyncio.run(main())


def _report(results: list[_Result]) -> Report:
    first, last = results[0], results[-1]
    return Report.new(
        "client-throughput",
        f"{PODS}-simulated-pods",
        table=Table(
            ("variant", "paragraphs/s", "relative to row", "CPU µs per paragraph"),
            tuple((r.variant, f"{r.rate:.1f}", f"{r.rate / first.rate:.1f}", f"{r.cpu_microseconds:.0f}") for r in results),
        ),
        figures=(Figure(f"{last.variant} / {first.variant}", MedianRange.of([last.rate / first.rate]), ".1f"),),
        samples=map(asdict, results),
    )
