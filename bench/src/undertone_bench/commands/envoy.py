"""Cost of Envoy: the same calls to one sidecar, directly and through the chart's Envoy."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import click
from undertone_client import Client

from undertone_bench.chart import CHART, Chart, find_helm
from undertone_bench.envoy import LOOPBACK, running_envoy
from undertone_bench.models import BenchModel
from undertone_bench.options import (
    count_option,
    demo_texts_option,
    model_option,
    progress,
    read_texts,
    repeat_option,
    reporting,
    rounds_option,
)
from undertone_bench.pods import running_pod
from undertone_bench.report import Figure, MedianRange, Report, Table
from undertone_bench.variants import raise_on_failure

DIRECT: Final = "direct"
ENVOY: Final = "through Envoy"


@dataclass(slots=True)
class _Side:
    """One way to the sidecar.

    `rates` are paragraphs per second, `latencies` median milliseconds, per round.
    """

    target: str
    rates: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)


@click.command(
    epilog="""\b
Examples:
  undertone-bench envoy
  undertone-bench envoy --rounds 10 --calls 500"""
)
@model_option
@demo_texts_option
@repeat_option(4)
@rounds_option(6)
@count_option("--calls", default=200, help_text="Single calls per round, for latency.")
@reporting
def envoy(model: str, texts: Sequence[Path], repeat: int, rounds: int, calls: int) -> Report:
    """Compare throughput and latency of one sidecar, directly and through the chart's Envoy.

    Throughput is that of the client library. Latency is the median of single calls in sequence.
    """
    paragraphs = read_texts(texts, repeat)
    served = BenchModel.find(model)
    with tempfile.TemporaryDirectory(prefix="undertone-bench-") as name, running_pod(served, [f"--host={LOOPBACK}"]) as pod:
        folder = Path(name)
        chart = Chart(find_helm(folder / "helm"), folder, CHART)
        port = int(pod.target.rsplit(":", 1)[1])
        with running_envoy(chart, [port], folder) as target:
            sides = {DIRECT: _Side(f"{LOOPBACK}:{port}"), ENVOY: _Side(target)}
            asyncio.run(_measure(sides, paragraphs, rounds, calls))
    return _report(served.label, sides)


async def _measure(sides: dict[str, _Side], paragraphs: Sequence[str], rounds: int, calls: int) -> None:
    shortest = min(paragraphs, key=len)
    for side in sides.values():
        await _score(side.target, paragraphs)  # first calls at each shape are slow
    for number in range(rounds):
        for name in sorted(sides, reverse=bool(number % 2)):
            side = sides[name]
            side.rates.append(len(paragraphs) / await _score(side.target, paragraphs))
            side.latencies.append(1000 * await _median_latency(side.target, shortest, calls))
            progress(f"round {number + 1} of {rounds}: {name}: {side.rates[-1]:.1f}/s, p50 {side.latencies[-1]:.2f} ms")


async def _score(target: str, paragraphs: Sequence[str]) -> float:
    """Seconds to score all paragraphs."""
    async with Client(target) as client:
        started = time.perf_counter()
        async for outcome in client.score(paragraphs):
            raise_on_failure(outcome)
        return time.perf_counter() - started


async def _median_latency(target: str, text: str, calls: int) -> float:
    seconds = []
    async with Client(target) as client:
        await client.classify(text)  # connects
        for _ in range(calls):
            started = time.perf_counter()
            await client.classify(text)
            seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def _report(subject: str, sides: dict[str, _Side]) -> Report:
    direct, through = sides[DIRECT], sides[ENVOY]
    added = [one - other for one, other in zip(through.latencies, direct.latencies, strict=True)]
    rows = (
        (name, f"{MedianRange.of(side.rates):.1f}", f"{MedianRange.of(side.latencies):.2f}") for name, side in sides.items()
    )
    return Report.new(
        "envoy",
        subject,
        table=Table(("", "paragraphs/s", "p50 of single calls, ms"), tuple(rows)),
        figures=(
            Figure("throughput: through Envoy / direct", MedianRange.of_ratios(through.rates, direct.rates), ".3f"),
            Figure("p50 added by Envoy, ms", MedianRange.of(added), "+.2f"),
        ),
        samples=({name: {"rates": side.rates, "latencies": side.latencies}} for name, side in sides.items()),
    )
