"""What the sidecar's answer cache saves on repeated texts, beside sidecars without it."""

import asyncio
import itertools
import random
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
from undertone_protos.v1.classifier_pb2 import Paragraph
from undertone_sidecar.answer_cache import MIN_BYTES

from undertone_bench.batch_calls import batch_call_options, send_batches
from undertone_bench.experiment import Experiment
from undertone_bench.lone_sidecar import LoneSidecar, running_sidecar
from undertone_bench.options import FiniteRange, count_option, experiment_options, progress, reporting
from undertone_bench.processes import ProcessUsage
from undertone_bench.redis_server import RedisServer, find_redis
from undertone_bench.report import Figure, MedianRange, Report, Table

_NO_CACHE: Final = "no cache"
_MEMORY: Final = "memory"
_REDIS: Final = "memory and Redis"
_SHARES: Final = (0.0, 0.5, 0.9)
_WARM_UP: Final = 256
_SEED: Final = 1

_Pods = Mapping[str, Sequence[LoneSidecar]]
"""The sidecars of each kind of cache."""


@dataclass(frozen=True, slots=True)
class _Round:
    """The same calls, by kind of cache.

    Attributes:
        share: Share of the paragraphs whose text occurs before in the round.
        seconds: Duration.
        cpu_seconds: CPU seconds of the sidecars.
        scored: Sequences that the model servers scored.
    """

    share: float
    seconds: Mapping[str, float]
    cpu_seconds: Mapping[str, float]
    scored: Mapping[str, float]


@click.command(
    epilog="""\b
Examples:
  undertone-bench cache
  undertone-bench cache --pods 1 --paragraphs 4096 --token-seconds 0"""
)
@experiment_options(rounds=5)
@count_option("--paragraphs", "count", default=1024, help_text="Paragraphs in a round.", least=64)
@click.option(
    "--token-seconds",
    default=5e-5,
    show_default=True,
    type=FiniteRange(0),
    help="Seconds of the fake model server for each padded token.",
)
@count_option("--cache-bytes", default=100_000_000, help_text="Memory of each sidecar's cache.", least=MIN_BYTES)
@click.option("--pods", default=2, show_default=True, type=click.IntRange(1, 8), help="Sidecars that get the calls in turn.")
@batch_call_options
@reporting
def cache(
    experiment: Experiment, count: int, token_seconds: float, cache_bytes: int, pods: int, batch: int, in_flight: int
) -> Report:
    """Compare sidecars without a cache, with a cache in memory, and with a shared Redis.

    The model servers are fakes, which take a fixed time for each token. Redis is started if it is
    installed.

    All kinds get the same calls, one after the other. A share of the paragraphs repeats texts of
    the same round. With two sidecars, half of the repetitions reach the other sidecar.
    """
    texts, rng = [paragraph.text for paragraph in experiment.paragraphs(count)], random.Random(_SEED)
    numbers = itertools.count()
    rounds = []
    with _running_pods(experiment, pods, cache_bytes, (f"--token-seconds={token_seconds}",)) as kinds:
        for sidecars in kinds.values():
            _send(sidecars, texts[:_WARM_UP], batch, in_flight)
        for share in _SHARES:
            for _ in range(experiment.rounds):
                # A number makes a text new.
                fresh = [f"{next(numbers)} {rng.choice(texts)}" for _ in range(max(1, round(count * (1 - share))))]
                sent = [*fresh, *rng.choices(fresh, k=count - len(fresh))]
                rng.shuffle(sent)
                measured = {kind: _measure(sidecars, sent, batch, in_flight) for kind, sidecars in kinds.items()}
                seconds, cpu, scored = ({kind: each[index] for kind, each in measured.items()} for index in range(3))
                rounds.append(_Round(share, seconds, cpu, scored))
                rates = (f"{kind} {seconds[_NO_CACHE] / each:.2f}" for kind, each in seconds.items() if kind != _NO_CACHE)
                progress(f"{share:4.0%} repeated, rate relative to no cache: {', '.join(rates)}")
        kinds_measured = list(kinds)
    return _report(experiment, rounds, kinds_measured)


@contextmanager
def _running_pods(experiment: Experiment, pods: int, cache_bytes: int, server_flags: Sequence[str]) -> Iterator[_Pods]:
    """Ready sidecars of each kind."""
    memory = f"--cache-bytes={cache_bytes}"
    flags = {_NO_CACHE: (), _MEMORY: (memory,)}
    with ExitStack() as stack:
        if find_redis() is None:
            progress("redis-server is not on the PATH, so nothing is measured with Redis: run .ci/redis, or install Redis")
        else:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="undertone-bench-")))
            flags[_REDIS] = (memory, f"--cache-redis={stack.enter_context(RedisServer(folder)).url}")
        yield {
            kind: [stack.enter_context(running_sidecar(experiment, flags=each, server_flags=server_flags)) for _ in range(pods)]
            for kind, each in flags.items()
        }


def _measure(sidecars: Sequence[LoneSidecar], texts: Sequence[str], batch: int, in_flight: int) -> tuple[float, float, float]:
    """Seconds, CPU seconds of the sidecars, and scored sequences."""

    def cpu_seconds() -> float:
        return sum(ProcessUsage.read(sidecar.pid).cpu_seconds for sidecar in sidecars)

    def scored() -> float:
        return sum(sidecar.metric("undertone_batch_items_sum") for sidecar in sidecars)

    before, cpu, start = scored(), cpu_seconds(), time.monotonic()
    _send(sidecars, texts, batch, in_flight)
    seconds, cpu = time.monotonic() - start, cpu_seconds() - cpu
    return seconds, cpu, scored() - before


def _send(sidecars: Sequence[LoneSidecar], texts: Sequence[str], batch: int, in_flight: int) -> None:
    paragraphs, targets = [Paragraph(text=text) for text in texts], [sidecar.target for sidecar in sidecars]
    asyncio.run(send_batches(targets, paragraphs, batch=batch, in_flight=in_flight))


def _report(experiment: Experiment, rounds: Sequence[_Round], kinds: Sequence[str]) -> Report:
    rows, figures = [], []
    for share, kind in itertools.product(_SHARES, kinds):
        if kind == _NO_CACHE:
            continue
        own = [each for each in rounds if each.share == share]
        rate = MedianRange.of(each.seconds[_NO_CACHE] / each.seconds[kind] for each in own)
        cpu = MedianRange.of(each.cpu_seconds[kind] / each.cpu_seconds[_NO_CACHE] for each in own)
        scored = MedianRange.of(each.scored[kind] / each.scored[_NO_CACHE] for each in own)
        rows.append((f"{share:.0%}", kind, f"{scored:.2f}", f"{rate:.2f}", f"{cpu:.2f}"))
        figures += [
            Figure(f"scored with {share:.0%} repeated texts, {kind}, relative to no cache", scored, ".2f"),
            Figure(f"rate with {share:.0%} repeated texts, {kind}, relative to no cache", rate, ".2f"),
            Figure(f"CPU of the sidecars with {share:.0%} repeated texts, {kind}, relative to no cache", cpu, ".2f"),
        ]
    return experiment.report(
        "cache",
        table=Table(("repeated", "cache", "scored, ratio", "rate, ratio", "CPU of the sidecars, ratio"), tuple(rows)),
        figures=figures,
        samples=rounds,
    )
