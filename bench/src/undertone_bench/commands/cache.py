"""What the sidecar's answer cache saves on repeated texts, beside a sidecar without it."""

import asyncio
import itertools
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import click
import grpc.aio
from undertone_protos.v1 import classifier_pb2, classifier_pb2_grpc

from undertone_bench.errors import BenchError
from undertone_bench.experiment import Experiment
from undertone_bench.lone_sidecar import LoneSidecar, running_sidecar
from undertone_bench.options import experiment_options, progress, reporting
from undertone_bench.processes import ProcessUsage
from undertone_bench.report import Figure, MedianRange, Report, Table

_REPEATED_TEXTS: Final = 256
_SHARES: Final = (0.0, 0.5, 0.9)
_SEED: Final = 1


@dataclass(frozen=True, slots=True)
class _Round:
    """Seconds and CPU seconds of the same calls, without and with the cache.

    `share` is the share of the paragraphs whose text was sent before.
    """

    share: float
    seconds: tuple[float, float]
    cpu_seconds: tuple[float, float]


@click.command(
    epilog="""\b
Examples:
  undertone-bench cache
  undertone-bench cache --paragraphs 4096 --token-seconds 0"""
)
@experiment_options(rounds=5)
@click.option("--paragraphs", "count", default=1024, show_default=True, type=click.IntRange(64), help="Paragraphs in a round.")
@click.option(
    "--token-seconds",
    default=5e-5,
    show_default=True,
    type=click.FloatRange(0),
    help="Seconds of the fake model server for each padded token.",
)
@click.option("--cache-bytes", default=100_000_000, show_default=True, type=click.IntRange(1), help="Size of the cache.")
@click.option("--batch", default=32, show_default=True, type=click.IntRange(1), help="Paragraphs per ClassifyBatch call.")
@click.option("--in-flight", default=8, show_default=True, type=click.IntRange(1), help="Concurrent ClassifyBatch calls.")
@reporting
def cache(experiment: Experiment, count: int, token_seconds: float, cache_bytes: int, batch: int, in_flight: int) -> Report:
    """Compare sidecars with and without an answer cache.

    The model server is a fake, which takes a fixed time for each token.

    Both get the same calls, one after the other. A share of the paragraphs repeats texts.
    """
    texts = [paragraph.text for paragraph in experiment.paragraphs(count)]
    repeated, rng, numbers = texts[:_REPEATED_TEXTS], random.Random(_SEED), itertools.count()
    server_flags = (f"--token-seconds={token_seconds}",)
    rounds = []
    with (
        running_sidecar(experiment, server_flags=server_flags) as without,
        running_sidecar(experiment, flags=(f"--cache-bytes={cache_bytes}",), server_flags=server_flags) as with_cache,
    ):
        both = (without, with_cache)
        for sidecar in both:
            asyncio.run(_send(sidecar.target, repeated, batch, in_flight))
        for share in _SHARES:
            for _ in range(experiment.rounds):
                # A number makes a text new.
                sent = [
                    rng.choice(repeated) if rng.random() < share else f"{next(numbers)} {rng.choice(texts)}"
                    for _ in range(count)
                ]
                measured = [_measure(sidecar, sent, batch, in_flight) for sidecar in both]
                (seconds, cpu), (cached_seconds, cached_cpu) = measured
                rounds.append(_Round(share, (seconds, cached_seconds), (cpu, cached_cpu)))
                progress(f"{share:4.0%} repeated: {seconds / cached_seconds:.2f} times the rate, CPU {cached_cpu / cpu:.2f}")
    return _report(experiment, rounds)


def _measure(sidecar: LoneSidecar, texts: Sequence[str], batch: int, in_flight: int) -> tuple[float, float]:
    """Seconds, and CPU seconds of the sidecar."""
    before, start = ProcessUsage.read(sidecar.pid), time.monotonic()
    asyncio.run(_send(sidecar.target, texts, batch, in_flight))
    return time.monotonic() - start, ProcessUsage.read(sidecar.pid).cpu_seconds - before.cpu_seconds


async def _send(target: str, texts: Sequence[str], batch: int, in_flight: int) -> None:
    """Sends the texts. Raises BenchError if a paragraph fails."""
    starts = iter(range(0, len(texts), batch))
    async with grpc.aio.insecure_channel(target) as channel:
        stub = classifier_pb2_grpc.ClassifierStub(channel)

        async def caller() -> None:
            for start in starts:
                request = classifier_pb2.ClassifyBatchRequest()
                for text in texts[start : start + batch]:
                    request.paragraphs.add(text=text)
                reply = await stub.ClassifyBatch(request, wait_for_ready=True)
                errors = [result.error.message for result in reply.results if result.HasField("error")]
                if errors:
                    raise BenchError(f"a paragraph failed: {errors[0]}")

        await asyncio.gather(*(caller() for _ in range(in_flight)))


def _report(experiment: Experiment, rounds: Sequence[_Round]) -> Report:
    rows, figures = [], []
    for share in _SHARES:
        own = [each for each in rounds if each.share == share]
        rate = MedianRange.of(each.seconds[0] / each.seconds[1] for each in own)
        cpu = MedianRange.of(each.cpu_seconds[1] / each.cpu_seconds[0] for each in own)
        rows.append((f"{share:.0%}", f"{rate:.2f}", f"{cpu:.2f}"))
        figures += [
            Figure(f"rate with {share:.0%} repeated texts, relative to no cache", rate, ".2f"),
            Figure(f"CPU of the sidecar with {share:.0%} repeated texts, relative to no cache", cpu, ".2f"),
        ]
    return experiment.report(
        "cache",
        table=Table(("repeated", "rate, ratio", "CPU of the sidecar, ratio"), tuple(rows)),
        figures=figures,
        samples=rounds,
    )
