"""Goodput under overload: answers within their deadline, relative to the capacity."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import click
from undertone_cli.quantiles import quantile
from undertone_telemetry.options import refuse_unused

from undertone_bench.deadline_load import NEVER, DeadlineLoad, Measurement, server_rate
from undertone_bench.errors import BenchError
from undertone_bench.experiment import Experiment
from undertone_bench.options import (
    POSITIVE,
    count_option,
    experiment_options,
    progress,
    reporting,
    seconds_option,
    target_option,
)
from undertone_bench.pods import running_pod
from undertone_bench.report import Figure, Goal, MedianRange, Plot, Report, Series, Table

_CAPACITY_CALLERS: Final = 64
_STATED_LOAD: Final = 3.0
"""Multiple of the capacity at which the goals apply."""

_PARAGRAPHS: Final = 256

MIXES: Final[Mapping[str, tuple[float, ...]]] = {
    "0.5 s": (0.5,),
    "2 s": (2.0,),
    "none": (NEVER,),
    "mixed": (0.5, 2.0, NEVER),
}
"""Names and deadlines in seconds."""


@dataclass(frozen=True, slots=True)
class _Point:
    """A measurement at `load` times the capacity, and that capacity."""

    mix: str
    load: float
    capacity: float
    measurement: Measurement

    @property
    def share(self) -> float:
        """Goodput relative to the capacity."""
        return self.measurement.goodput / self.capacity


@dataclass(frozen=True, slots=True)
class _Result:
    """Rates are per second. `server_rate` is the highest Poisson rate with p99 within the bound."""

    capacity: float
    unloaded: Measurement
    points: tuple[_Point, ...]
    retries: tuple[_Point, ...]
    server_rate: float


@click.command(
    epilog="""\b
Examples:
  undertone-bench goodput
  undertone-bench goodput --model bert-base --tokens 500 --load 1 --load 3 --seconds 15
  undertone-bench goodput --target undertone:50051     a service that is running"""
)
@experiment_options(rounds=1)
@click.option(
    "--load",
    "loads",
    multiple=True,
    type=POSITIVE,
    metavar="FACTOR",
    help="Arrival rate as a multiple of the capacity; repeatable. Default: 0.5, 1, 1.5, 2, 3, 4.",
)
@seconds_option("--seconds", 6.0, "Duration of each measurement, after two seconds of load.")
@click.option("--tokens", type=click.IntRange(3), help="Length of all paragraphs in tokens. Default: lengths as in --texts.")
@count_option("--callers", default=16, help_text="Number of callers that retry 10 ms after a failed call.")
@seconds_option("--bound", 1.0, "Maximum p99 latency for the server rate.")
@count_option("--bisections", default=4, help_text="Steps of the search for the server rate. 0 skips it.", least=0)
@seconds_option("--server-seconds", 15.0, "Duration of each step of this search.")
@target_option
@reporting
def goodput(
    experiment: Experiment,
    loads: Sequence[float],
    seconds: float,
    tokens: int | None,
    callers: int,
    bound: float,
    bisections: int,
    server_seconds: float,
    target: str | None,
) -> Report:
    """Compare answers within their deadline with the capacity, under overload.

    The arrival rate is 0.5 to 4 times the capacity. Callers have deadlines of 0.5 s, 2 s, none, or
    a mix. The capacity is the rate with 64 callers without deadlines. The server rate is MLPerf's:
    the highest Poisson rate whose p99 latency is within --bound.
    """
    if target is not None:
        refuse_unused("has no effect with --target, a service that is running: omit one of them", "sidecar_flags")
    if not bisections:
        refuse_unused("has no effect with --bisections 0: omit one of them", "server_seconds")
    paragraphs = experiment.source.paragraphs([tokens] * _PARAGRAPHS) if tokens else experiment.paragraphs(_PARAGRAPHS)
    with contextlib.ExitStack() as stack:
        pids: Mapping[str, int] = {}
        if target is None:
            pod = stack.enter_context(running_pod(experiment.model, experiment.sidecar_flags))
            target, pids = pod.target, pod.pids

        async def measure() -> list[_Result]:
            load = DeadlineLoad(target, paragraphs, pids)
            try:
                return [
                    await _measure(load, loads or (0.5, 1, 1.5, 2, 3, 4), seconds, callers, bound, bisections, server_seconds)
                    for _ in range(experiment.rounds)
                ]
            finally:
                await load.close()

        results = asyncio.run(measure())
    return _report(experiment, results, callers, bound)


async def _measure(
    load: DeadlineLoad,
    loads: Sequence[float],
    seconds: float,
    callers: int,
    bound: float,
    bisections: int,
    server_seconds: float,
) -> _Result:
    await load.closed_loop(_CAPACITY_CALLERS, [NEVER], seconds)  # first calls at each length are slow
    unloaded = await load.closed_loop(1, [NEVER], seconds)
    points, retries = list[_Point](), list[_Point]()
    for mix, deadlines in MIXES.items():
        # Again for each mix, because the speed of a machine varies.
        capacity = (await load.closed_loop(_CAPACITY_CALLERS, [NEVER], seconds)).goodput
        if not capacity or not unloaded.latencies:
            raise BenchError(f"no call was answered in {seconds:g} s: increase --seconds, or check the service")
        progress(f"deadlines {mix}: capacity {capacity:.1f}/s")
        for factor in loads:
            found = await load.open_loop(factor * capacity, deadlines, seconds)
            points.append(_Point(mix, factor, capacity, found))
            progress(f"  load {factor:g}: goodput {points[-1].share:.2f} of capacity, {dict(found.codes)}")
        found = await load.closed_loop(callers, deadlines, seconds)
        retries.append(_Point(mix, callers, capacity, found))
        progress(f"  {callers} retrying callers: goodput {retries[-1].share:.2f} of capacity, {dict(found.codes)}")
    capacity = (await load.closed_loop(_CAPACITY_CALLERS, [NEVER], seconds)).goodput
    highest = await server_rate(load, capacity, bound, bisections, server_seconds)
    return _Result(capacity, unloaded, tuple(points), tuple(retries), highest)


def _report(experiment: Experiment, results: Sequence[_Result], callers: int, bound: float) -> Report:
    unloaded_cpu = MedianRange.of(one.unloaded.cpu_seconds_per_answer for one in results)
    first = results[0]
    measured = [point.measurement for one in results for point in (*one.points, *one.retries)]
    figures = [
        Figure("capacity, answers/s", MedianRange.of(one.capacity for one in results), ".1f"),
        Figure("CPU seconds per answer, unloaded", unloaded_cpu, ".4f"),
    ]
    stated = [point for point in first.points if point.load == _STATED_LOAD]
    goal = Goal("at least", 0.9)
    for number, point in enumerate(first.points):
        if point in stated:
            name = f"goodput / capacity at {point.load:g} times the capacity, deadlines: {point.mix}"
            figures.append(Figure(name, MedianRange.of(one.points[number].share for one in results), ".2f", goal))
    for number, point in enumerate(first.retries):
        name = f"goodput / capacity, {callers} callers who retry after 10 ms, deadlines: {point.mix}"
        figures.append(Figure(name, MedianRange.of(one.retries[number].share for one in results), ".2f", goal))
    if unloaded_cpu.median and stated:
        ratios = [
            max(point.measurement.cpu_seconds_per_answer for point in one.points if point.load == _STATED_LOAD)
            / one.unloaded.cpu_seconds_per_answer
            for one in results
        ]
        name = f"largest CPU seconds per answer at {_STATED_LOAD:g} times the capacity / unloaded"
        figures.append(Figure(name, MedianRange.of(ratios), ".2f", Goal("at most", 1.2)))
    health = min(one.healthy for one in measured)
    figures.append(Figure("smallest share of health checks with SERVING", MedianRange.of([health]), ".2f", Goal("at least", 1)))
    if first.server_rate:
        ratios = [one.server_rate / one.capacity for one in results]
        name = f"server rate (p99 at most {bound:g} s) / capacity"
        figures.append(Figure(name, MedianRange.of(ratios), ".2f", Goal("at least", 0.8)))
    return experiment.report(
        "goodput",
        table=Table(
            ("deadlines", "load", "goodput / capacity", "answered", "refused", "too late", "other", "CPU", "p50 s", "p99 s"),
            tuple(_row(f"{point.load:g}", point, first) for point in first.points)
            + tuple(_row(f"{callers} callers", point, first) for point in first.retries),
        ),
        figures=figures,
        plot=Plot(
            f"{experiment.model.label}: answers within their deadline",
            "arrival rate / capacity",
            "goodput / capacity",
            tuple(_series(mix, first) for mix in MIXES),
        ),
        samples=[asdict(one) for one in results],
        notes=[
            "Refused: RESOURCE_EXHAUSTED. Too late: DEADLINE_EXCEEDED. CPU: CPU seconds of sidecar and model server for "
            "each answer, relative to unloaded."
        ],
    )


def _row(load: str, point: _Point, result: _Result) -> tuple[str, ...]:
    found = point.measurement
    known = ("OK", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED")
    counts = [found.codes.get(code, 0) for code in known]
    other = sum(found.codes.values()) - sum(counts)
    cpu = result.unloaded.cpu_seconds_per_answer
    return (
        point.mix,
        load,
        f"{point.share:.2f}",
        *map(str, counts),
        str(other),
        f"{found.cpu_seconds_per_answer / cpu:.2f}" if cpu else "–",
        *(f"{quantile(found.latencies, q):.2f}" if found.latencies else "–" for q in (0.5, 0.99)),
    )


def _series(mix: str, result: _Result) -> Series:
    points = [point for point in result.points if point.mix == mix]
    return Series(
        f"deadlines: {mix}",
        tuple(point.load for point in points),
        tuple(point.share for point in points),
    )
