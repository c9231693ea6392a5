"""Latency of a loaded pod against the unloaded latency of each paragraph."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

import click
import numpy as np
from undertone_cli.quantiles import quantile

from undertone_bench.experiment import Experiment
from undertone_bench.load_generator import CallResult, arrivals_to_measure, closed_loop, open_loop
from undertone_bench.options import POSITIVE, experiment_options, progress, reporting, seconds_option
from undertone_bench.pods import ClassifyClient, Pod, running_pod
from undertone_bench.report import Figure, Goal, MedianRange, Plot, Report, Series, Table
from undertone_bench.workload import Paragraph

_PROBE_LENGTHS: Final = 12
_CONCURRENCY: Final = 64
_PLOTTED_CALLS: Final = 300
"""Number of calls in the plot, at most."""

Results = Sequence[CallResult[Paragraph]]


@dataclass(frozen=True, slots=True)
class _Round:
    """Rates in paragraphs per second, and results of calls.

    `unloaded` has pairs of tokens and seconds, `results` the calls under load.
    """

    saturation: float
    unloaded: tuple[tuple[int, float], ...]
    rate: float
    results: tuple[CallResult[Paragraph], ...]


@click.command(
    epilog="""\b
Examples:
  undertone-bench latency
  undertone-bench latency --model bert-base --rounds 2 --seconds 60
  undertone-bench latency --load 0.9"""
)
@experiment_options(rounds=3)
@click.option("--load", default=0.7, show_default=True, type=POSITIVE, help="Arrival rate as a share of saturation.")
@seconds_option("--seconds", 20.0, "Duration of the load in each round.")
@reporting
def latency(experiment: Experiment, load: float, seconds: float) -> Report:
    """Compare latency under Poisson load with unloaded latency.

    Each round measures paragraphs one at a time (unloaded), the saturation with 64 concurrent
    calls, and an open loop at --load of the saturation. Latency counts from the arrival time.
    """
    with running_pod(experiment.model, experiment.sidecar_flags) as pod, asyncio.Runner() as runner:
        rounds = runner.run(_measure(experiment, pod, load, seconds))
    return _report(experiment, rounds, load)


async def _measure(experiment: Experiment, pod: Pod, load: float, seconds: float) -> list[_Round]:
    client = ClassifyClient(pod.target)
    probes = experiment.source.paragraphs(_probe_lengths(experiment))
    await closed_loop(client, [*probes, *experiment.paragraphs(256)], _CONCURRENCY)  # first calls at each length are slow
    rounds = []
    rate = 0.0
    for number in range(experiment.rounds):
        unloaded = await closed_loop(client, probes * 3, 1)
        # The saturation takes about a third of the open loop's time; the first estimate is from
        # unloaded calls.
        estimate = rate or 1 / median(result.seconds for result in unloaded)
        count = max(_CONCURRENCY * 4, int(estimate * seconds / 3))
        saturation = await _saturation(client, experiment.paragraphs(count, seed=number))
        rate = load * saturation
        arrivals = arrivals_to_measure(rate, seconds, random.Random(number), "--load")
        results = await open_loop(client, experiment.paragraphs(len(arrivals), seed=100 + number), arrivals)
        pairs = tuple((result.item.tokens, result.seconds) for result in unloaded)
        rounds.append(_Round(saturation, pairs, rate, tuple(results)))
        progress(
            f"round {number + 1} of {experiment.rounds}: saturation {saturation:.1f}/s, {len(results)} calls at {rate:.1f}/s"
        )
    await client.close()
    return rounds


async def _saturation(client: ClassifyClient, paragraphs: Sequence[Paragraph]) -> float:
    """Paragraphs per second while _CONCURRENCY calls are in flight.

    Excludes the last calls, when fewer are in flight and batches are smaller.
    """
    completed: list[float] = []

    async def call(paragraph: Paragraph) -> bool:
        ok = await client(paragraph)
        completed.append(time.perf_counter())
        return ok

    started = time.perf_counter()
    await closed_loop(call, paragraphs, _CONCURRENCY)
    steady = completed[:-_CONCURRENCY]
    return len(steady) / (steady[-1] - started)


def _probe_lengths(experiment: Experiment) -> list[int]:
    """Quantiles of the lengths, and lengths around the model's maximum, where chunking starts."""
    max_tokens, longest = experiment.model.contract.max_tokens, experiment.distribution.lengths[-1]
    quantiles = {experiment.distribution.quantile(index / _PROBE_LENGTHS) for index in range(_PROBE_LENGTHS)}
    return sorted(length for length in quantiles | {max_tokens - 8, max_tokens + 16, longest} if length <= longest)


class _Baseline:
    """Unloaded latency by length: medians of the probes, with linear interpolation between them."""

    def __init__(self, rounds: Sequence[_Round]) -> None:
        by_length: dict[int, list[float]] = {}
        for tokens, seconds in (pair for one in rounds for pair in one.unloaded):
            by_length.setdefault(tokens, []).append(seconds)
        medians = sorted((tokens, median(seconds)) for tokens, seconds in by_length.items())
        self.tokens = [float(tokens) for tokens, _ in medians]
        self.seconds = [seconds for _, seconds in medians]

    def __call__(self, result: CallResult[Paragraph]) -> float:
        return float(np.interp(result.item.tokens, self.tokens, self.seconds))

    def slowdown(self, result: CallResult[Paragraph]) -> float:
        return result.seconds / self(result)


def _report(experiment: Experiment, rounds: Sequence[_Round], load: float) -> Report:
    unloaded = _Baseline(rounds)

    def loaded_quantile(q: float) -> MedianRange:
        return MedianRange.of(quantile([result.seconds for result in one.results], q) for one in rounds)

    def slowdown_quantile(q: float) -> MedianRange:
        return MedianRange.of(quantile([unloaded.slowdown(result) for result in one.results], q) for one in rounds)

    p99_ratios = [
        quantile([result.seconds for result in one.results], 0.99) / quantile([unloaded(r) for r in one.results], 0.99)
        for one in rounds
    ]
    figures = [
        Figure("saturation, paragraphs/s", MedianRange.of(one.saturation for one in rounds), ".1f"),
        Figure(f"arrivals ({load:.0%} of saturation), paragraphs/s", MedianRange.of(one.rate for one in rounds), ".1f"),
        Figure("p99 of per-paragraph slowdown", slowdown_quantile(0.99), ".1f", Goal("at most", 3.0)),
        Figure("p99 latency / unloaded p99", MedianRange.of(p99_ratios), ".1f"),
        Figure("failed calls", MedianRange.of(float(sum(not r.ok for r in one.results)) for one in rounds), ".0f"),
    ]
    quantiles = (0.5, 0.9, 0.99)
    results = [result for one in rounds for result in one.results]
    plotted = results[:: max(1, len(results) // _PLOTTED_CALLS)]
    return experiment.report(
        "latency",
        table=Table(
            ("", "p50", "p90", "p99"),
            (
                ("unloaded, ms", *(f"{quantile([unloaded(r) * 1e3 for r in results], q):.0f}" for q in quantiles)),
                (f"at {load:.0%} of saturation, ms", *(f"{loaded_quantile(q).scaled(1e3):.0f}" for q in quantiles)),
                ("slowdown (latency / unloaded latency)", *(f"{slowdown_quantile(q):.1f}" for q in quantiles)),
            ),
        ),
        figures=figures,
        plot=Plot(
            f"{experiment.model.label}: latency at {load:.0%} of saturation",
            "tokens",
            "ms",
            (
                Series("unloaded", tuple(unloaded.tokens), tuple(seconds * 1e3 for seconds in unloaded.seconds)),
                Series(
                    f"at {load:.0%} of saturation",
                    tuple(float(result.item.tokens) for result in plotted),
                    tuple(result.seconds * 1e3 for result in plotted),
                    line=False,
                ),
            ),
        ),
        samples=[
            {
                "saturation": one.saturation,
                "rate": one.rate,
                "unloaded": one.unloaded,
                "calls": [(result.item.tokens, round(result.seconds, 5), result.ok) for result in one.results],
            }
            for one in rounds
        ],
    )
