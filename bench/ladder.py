"""The paper's ladder, in one run on one machine: how fast three ways of calling work off paragraphs against the same fleet.

The fleet is simulated, in a process of its own, behind a real socket: 90 pods that take 0.3 s for a paragraph each, one at a
time, and so answer 300 paragraphs a second in all, however they are asked. Nothing fails. The rungs:

  row       one synchronous call after the other, as in a row-at-a-time UDF
  arrow     asyncio over Arrow record batches, a call for each paragraph, a semaphore of 50 (the paper's best)
  undertone `Client.score`: the limit finds itself

Every rung is warmed up first; then its answers of some seconds are counted. The rungs within Spark itself are measured by the
batch package's own bench.

    .venv/bin/python -m bench.ladder
"""

import argparse
import asyncio
import contextlib
import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import grpc
import pyarrow as pa
from undertone_client import Client, Failure, Settings
from undertone_protos.v1 import classifier_pb2 as pb
from undertone_protos.v1 import classifier_pb2_grpc as pb_grpc

PODS: Final = 90
PARAGRAPH_SECONDS: Final = 0.3
PARAGRAPH: Final = "a paragraph of eighteen words " * 3 + "in all"
TOKENS: Final = len(PARAGRAPH.split()) + 2
ARROW_ROWS: Final = 10_000

FLEET: Final = (f"--pods={PODS}", "--call-seconds=0", f"--token-seconds={PARAGRAPH_SECONDS / TOKENS}", f"--choices={PODS}")


@contextlib.contextmanager
def served() -> Iterator[str]:
    """The target of a fleet of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "undertone_bench.simulation.server", *FLEET], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield f"127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()


@dataclass(slots=True)
class Stopwatch:
    """Counts answers from the end of the warm-up on."""

    warm_seconds: float
    count_seconds: float
    began: float = field(default_factory=time.monotonic)
    answers: int = 0
    cpu_seconds: float = 0.0
    _cpu_began: float | None = None

    def answered(self) -> None:
        if time.monotonic() - self.began >= self.warm_seconds:
            if self._cpu_began is None:
                self._cpu_began = time.process_time()
            self.answers += 1

    @property
    def over(self) -> bool:
        return time.monotonic() - self.began >= self.warm_seconds + self.count_seconds

    def stop(self) -> None:
        if self._cpu_began is not None:
            self.cpu_seconds = time.process_time() - self._cpu_began


def row(target: str, watch: Stopwatch) -> None:
    """One synchronous call after the other."""
    with grpc.insecure_channel(target) as channel:
        stub = pb_grpc.ClassifierStub(channel)
        while not watch.over:
            stub.Classify(pb.ClassifyRequest(text=PARAGRAPH))
            watch.answered()


def arrow(target: str, watch: Stopwatch, *, semaphore: int) -> None:
    """A call for each paragraph of a record batch, so many at once."""

    async def main() -> None:
        slots = asyncio.Semaphore(semaphore)
        table = pa.table({"text": [PARAGRAPH] * ARROW_ROWS})
        async with grpc.aio.insecure_channel(target) as channel:
            stub = pb_grpc.ClassifierStub(channel)

            async def score(text: str) -> None:
                async with slots:
                    if not watch.over:
                        await stub.Classify(pb.ClassifyRequest(text=text))
                        watch.answered()

            for batch in itertools.chain.from_iterable(itertools.repeat(table.to_batches())):
                await asyncio.gather(*(score(text) for text in batch.column("text").to_pylist()))
                if watch.over:
                    return

    asyncio.run(main())


def undertone(target: str, watch: Stopwatch, *, batch_items: int) -> None:
    """The client as it comes, with smaller calls: 32 paragraphs would keep one of these pods busy for 10 s."""

    async def main() -> None:
        settings = Settings(batch_items=batch_items)
        async with (
            Client(target, settings=settings) as client,
            contextlib.aclosing(client.score(itertools.repeat(PARAGRAPH), ordered=False)) as outcomes,
        ):
            async for outcome in outcomes:
                if isinstance(outcome, Failure):
                    raise SystemExit(f"a paragraph failed: {outcome.status.name}: {outcome.reason}")
                watch.answered()
                if watch.over:
                    return

    asyncio.run(main())


def main() -> None:
    """Climb."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--warm", type=float, default=30.0, metavar="SECONDS", help="before answers are counted (default 30)")
    parser.add_argument("--count", type=float, default=20.0, metavar="SECONDS", help="while they are (default 20)")
    parser.add_argument("--semaphore", type=int, default=50, help="of the Arrow rung (default 50)")
    parser.add_argument("--batch-items", type=int, default=4, help="paragraphs in a call of Undertone's (default 4)")
    given = parser.parse_args()
    rungs: dict[str, Callable[[str, Stopwatch], None]] = {
        "row": row,
        "arrow": lambda target, watch: arrow(target, watch, semaphore=given.semaphore),
        "undertone": lambda target, watch: undertone(target, watch, batch_items=given.batch_items),
    }
    first: float | None = None
    print(f"{'rung':<10}{'a second':>10}{'times the first':>17}{'CPU us each':>13}")
    for name, rung in rungs.items():
        with served() as target:
            watch = Stopwatch(given.warm, given.count)
            rung(target, watch)
            watch.stop()
        rate = watch.answers / given.count
        first = first or rate
        print(
            f"{name:<10}{rate:>10.1f}{rate / first:>17.1f}{watch.cpu_seconds / max(1, watch.answers) * 1e6:>13.0f}", flush=True
        )


if __name__ == "__main__":
    main()
