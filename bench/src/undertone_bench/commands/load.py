"""Load with chosen parameters, on a pod or on a running service."""

import asyncio
import contextlib
import random
import time
from typing import Final

import click
from undertone_cli.quantiles import quantile
from undertone_telemetry.options import refuse_unused

from undertone_bench.errors import BenchError
from undertone_bench.experiment import Experiment
from undertone_bench.load_generator import CallResult, arrivals_to_measure, closed_loop, open_loop
from undertone_bench.options import POSITIVE, count_option, experiment_options, reporting, seconds_option, target_option
from undertone_bench.pods import ClassifyClient, running_pod
from undertone_bench.report import Figure, MedianRange, Plot, Report, Series, Table
from undertone_bench.workload import Paragraph

_QUANTILES: Final = tuple(index / 100 for index in range(100))

Results = list[CallResult[Paragraph]]


@click.command(
    epilog="""\b
Examples:
  undertone-bench load --rate 20 --seconds 60               open loop, 20 calls per second
  undertone-bench load --concurrency 64                     closed loop, 64 calls in flight
  undertone-bench load --rate 20 --target undertone:50051   a service that is running"""
)
@experiment_options(rounds=1)
@click.option("--rate", type=POSITIVE, help="Open loop: Poisson arrivals per second.")
@click.option("--concurrency", type=click.IntRange(1), help="Closed loop: calls in flight.")
@seconds_option("--seconds", 20.0, "Duration of an open loop.")
@count_option("--paragraphs", "count", default=1024, help_text="Number of calls of a closed loop.")
@target_option
@click.option("--lane", default="online", show_default=True, type=click.Choice(["online", "batch"]), help="Lane of the calls.")
@reporting
def load(
    experiment: Experiment,
    rate: float | None,
    concurrency: int | None,
    seconds: float,
    count: int,
    target: str | None,
    lane: str,
) -> Report:
    """Load a service with Classify calls, open loop (--rate) or closed loop (--concurrency)."""
    if (rate is None) == (concurrency is None):
        raise click.UsageError("give either --rate (open loop) or --concurrency (closed loop)")
    if rate is None:
        refuse_unused("has no effect with --concurrency, which ends after --paragraphs: omit one of them", "seconds")
    else:
        refuse_unused("has no effect with --rate, which ends after --seconds: omit one of them", "count")
    if target is not None:
        refuse_unused("has no effect with --target, a service that is running: omit one of them", "sidecar_flags")

    async def run_round(address: str, number: int) -> tuple[float, Results]:
        client = ClassifyClient(address, lane)
        started = time.perf_counter()
        if rate is not None:
            arrivals = arrivals_to_measure(rate, seconds, random.Random(number), "--rate")
            results = await open_loop(client, experiment.paragraphs(len(arrivals), seed=number), arrivals)
        else:
            results = await closed_loop(client, experiment.paragraphs(count, seed=number), concurrency or 1)
        elapsed = time.perf_counter() - started
        await client.close()
        return elapsed, results

    with contextlib.ExitStack() as stack:
        address = target or stack.enter_context(running_pod(experiment.model, experiment.sidecar_flags)).target
        runner = stack.enter_context(asyncio.Runner())
        rounds = [runner.run(run_round(address, number)) for number in range(experiment.rounds)]
    if not any(result.ok for _, results in rounds for result in results):
        own = f"reduce {'--concurrency' if rate is None else '--rate'}, or check --sidecar-flag"
        remedy = "check the service, or name another --target" if target else own
        raise BenchError(f"no call to {address} was answered: {remedy}")
    return _report(experiment, rounds)


def _report(experiment: Experiment, rounds: list[tuple[float, Results]]) -> Report:
    latencies = [result.seconds * 1e3 for _, results in rounds for result in results]
    rates = (sum(result.ok for result in results) / elapsed for elapsed, results in rounds)
    failed = (float(sum(not result.ok for result in results)) for _, results in rounds)
    return experiment.report(
        "load",
        table=Table(
            ("", "p50", "p90", "p99"), (("latency, ms", *(f"{quantile(latencies, q):.1f}" for q in (0.5, 0.9, 0.99))),)
        ),
        figures=(
            Figure("successful calls/s", MedianRange.of(rates), ".1f"),
            Figure("failed calls", MedianRange.of(failed), ".0f"),
        ),
        plot=Plot(
            f"{experiment.model.label}: latency",
            "quantile",
            "ms",
            (Series("latency", _QUANTILES, tuple(quantile(latencies, q) for q in _QUANTILES)),),
        ),
        samples=[
            {"seconds": elapsed, "calls": [(result.item.tokens, result.seconds, result.ok) for result in results]}
            for elapsed, results in rounds
        ],
    )
