"""Interference between online calls and a batch job on one pod."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import click
from undertone_cli.quantiles import quantile
from undertone_client import Client

from undertone_bench.batch_job import BatchJob, token_rate
from undertone_bench.errors import BenchError
from undertone_bench.experiment import Experiment
from undertone_bench.load_generator import CallResult, arrivals_to_measure, open_loop
from undertone_bench.options import POSITIVE, experiment_options, progress, reporting, seconds_option
from undertone_bench.pods import ClassifyClient, Pod, running_pod
from undertone_bench.report import Figure, Goal, MedianRange, Plot, Report, Series, Table
from undertone_bench.variants import LONG_TIMEOUT
from undertone_bench.workload import Paragraph

_PARAGRAPHS: Final = 2048
_QUANTILES: Final = (0.5, 0.9, 0.99)


@dataclass(frozen=True, slots=True)
class _Round:
    """Online latencies in seconds, and batch rates in padded tokens per second at the model server.

    The batch rate is not in paragraphs, because paragraphs of one length are answered in bursts.
    """

    online_alone: tuple[float, ...]
    online_concurrent: tuple[float, ...]
    batch_alone: float
    batch_concurrent: float
    failed: int


@click.command(
    epilog="""\b
Examples:
  undertone-bench lanes
  undertone-bench lanes --model bert-base --rounds 2 --seconds 120"""
)
@experiment_options(rounds=3)
@click.option(
    "--load",
    default=0.1,
    show_default=True,
    type=POSITIVE,
    help="Online arrival rate as a share of the batch job's rate.",
)
@seconds_option("--seconds", 20.0, "Duration of each part of a round.")
@reporting
def lanes(experiment: Experiment, load: float, seconds: float) -> Report:
    """Compare online calls alone, a batch job alone, and both concurrently."""
    with running_pod(experiment.model, experiment.sidecar_flags) as pod, asyncio.Runner() as runner:
        rounds, rate = runner.run(_measure(experiment, pod, load, seconds))
    return _report(experiment, rounds, rate, load)


async def _measure(experiment: Experiment, pod: Pod, load: float, seconds: float) -> tuple[list[_Round], float]:
    online = ClassifyClient(pod.target)
    rounds = []
    rate = 0.0
    async with Client(pod.target, settings=LONG_TIMEOUT) as client:
        job = BatchJob(client, experiment.paragraphs(_PARAGRAPHS))
        async with job.running():
            await asyncio.sleep(seconds / 2)  # first calls at each length are slow
        for number in range(experiment.rounds):
            async with job.running():
                batch_alone = await token_rate(pod, asyncio.sleep(seconds))
            if not batch_alone:
                raise BenchError(f"the batch job made no call in {seconds:g} s: increase --seconds")
            rate = rate or load * batch_alone / _mean_tokens(experiment)
            arrivals = arrivals_to_measure(rate, seconds, random.Random(number), "--load")
            paragraphs = experiment.paragraphs(len(arrivals), seed=100 + number)
            alone: list[CallResult[Paragraph]] = []
            online_tokens = await token_rate(pod, _call(online, paragraphs, arrivals, alone))
            concurrent: list[CallResult[Paragraph]] = []
            async with job.running():
                total = await token_rate(pod, _call(online, paragraphs, arrivals, concurrent))
            failed = sum(not result.ok for result in [*alone, *concurrent])
            one = _Round(_seconds(alone), _seconds(concurrent), batch_alone, total - online_tokens, failed)
            rounds.append(one)
            progress(
                f"round {number + 1} of {experiment.rounds}: online p99 {quantile(one.online_alone, 0.99) * 1e3:.0f} ms alone, "
                f"{quantile(one.online_concurrent, 0.99) * 1e3:.0f} ms concurrent; batch {one.batch_alone:.0f} tokens/s alone, "
                f"{one.batch_concurrent:.0f} beside {rate:.1f} online calls/s"
            )
    await online.close()
    return rounds, rate


async def _call(
    client: ClassifyClient, paragraphs: Sequence[Paragraph], arrivals: Sequence[float], results: list[CallResult[Paragraph]]
) -> None:
    results += await open_loop(client, paragraphs, arrivals)


def _mean_tokens(experiment: Experiment) -> float:
    texts = [paragraph.text for paragraph in experiment.paragraphs(_PARAGRAPHS)]
    return sum(experiment.model.lengths(texts)) / len(texts)


def _seconds(results: Sequence[CallResult[Paragraph]]) -> tuple[float, ...]:
    return tuple(result.seconds for result in results)


def _report(experiment: Experiment, rounds: Sequence[_Round], rate: float, load: float) -> Report:
    def milliseconds(latencies: str, q: float) -> list[float]:
        return [quantile(getattr(one, latencies), q) * 1e3 for one in rounds]

    def row(name: str, latencies: str, batch: Sequence[float]) -> tuple[str, ...]:
        cells = (f"{MedianRange.of(milliseconds(latencies, q)):.0f}" for q in _QUANTILES)
        return (name, *cells, f"{MedianRange.of(batch):.0f}")

    alone, concurrent = (milliseconds(name, 0.99) for name in ("online_alone", "online_concurrent"))
    batch_alone, batch_concurrent = [one.batch_alone for one in rounds], [one.batch_concurrent for one in rounds]
    return experiment.report(
        "lanes",
        table=Table(
            ("", "online p50 ms", "p90", "p99", "batch tokens/s"),
            (row("alone", "online_alone", batch_alone), row("concurrent", "online_concurrent", batch_concurrent)),
        ),
        figures=(
            Figure(f"online calls/s ({load:.0%} of the batch rate)", MedianRange.of([rate]), ".1f"),
            Figure("online p99: concurrent / alone", MedianRange.of_ratios(concurrent, alone), ".2f", Goal("at most", 2.0)),
            Figure(
                "batch rate: concurrent / alone",
                MedianRange.of_ratios(batch_concurrent, batch_alone),
                ".2f",
                Goal("at least", 0.8),
            ),
            Figure("failed online calls", MedianRange.of(float(one.failed) for one in rounds), ".0f"),
        ),
        plot=Plot(
            f"{experiment.model.label}: online latency",
            "quantile",
            "ms",
            (_distribution(rounds, "online_alone", "alone"), _distribution(rounds, "online_concurrent", "beside a batch job")),
        ),
        samples=rounds,
    )


def _distribution(rounds: Sequence[_Round], latencies: str, label: str) -> Series:
    values = [seconds for one in rounds for seconds in getattr(one, latencies)]
    quantiles = tuple(index / 100 for index in range(100))
    return Series(label, quantiles, tuple(quantile(values, q) * 1e3 for q in quantiles))
