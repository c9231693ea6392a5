"""Time per paragraph by length, for workloads of equal and of mixed lengths."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import click

from undertone_bench.experiment import Experiment
from undertone_bench.options import count_option, experiment_options, progress, reporting
from undertone_bench.pods import ALL_CORES, running_pod
from undertone_bench.report import Figure, MedianRange, Plot, Report, Series, Table
from undertone_bench.variants import DirectCalls, Undertone, Variant
from undertone_bench.workload import Paragraph

LENGTHS: Final = (16, 32, 64, 128, 256, 512)
MIXES: Final = ((31, 16, 1, 512), (7, 32, 1, 512), (3, 64, 1, 512))
"""Ratios of short and long paragraphs: number, tokens, number, tokens."""

_VARIANTS: Final = ("undertone", "random-batch", "paper")


@dataclass(frozen=True, slots=True)
class _Workload:
    """Paragraphs of one or of two lengths. `lengths` is the repeated unit."""

    name: str
    lengths: tuple[int, ...]

    @property
    def is_mixed(self) -> bool:
        return len(set(self.lengths)) > 1

    @property
    def mean(self) -> float:
        return sum(self.lengths) / len(self.lengths)


@dataclass(frozen=True, slots=True)
class _Cost:
    """Seconds per paragraph of one workload and variant, in each round."""

    variant: str
    workload: _Workload
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return MedianRange.of(self.seconds).median


@click.command(
    epilog="""\b
Examples:
  undertone-bench cost
  undertone-bench cost --rounds 1 --tokens 2048"""
)
@experiment_options(rounds=3)
@count_option("--tokens", default=16384, help_text="Approximate number of tokens of each workload.")
@reporting
def cost(experiment: Experiment, tokens: int) -> Report:
    """Compare time per paragraph of separate and of mixed lengths.

    The cost of a paragraph should depend on its own length, and not on its neighbours in a batch.
    """
    max_tokens = experiment.model.contract.max_tokens
    workloads = [_Workload(f"{length}", (length,)) for length in LENGTHS if length <= max_tokens]
    for many, short, few, long in MIXES:
        if long <= max_tokens:
            workloads.append(_Workload(f"{many} × {short} + {few} × {long}", (short,) * many + (long,) * few))
    seconds: dict[tuple[str, str], list[float]] = {}
    direct_pod = running_pod(experiment.model, ALL_CORES)
    with running_pod(experiment.model, experiment.sidecar_flags) as pod, direct_pod as direct, asyncio.Runner() as runner:
        variants: list[tuple[_Workload, Variant]] = []
        for workload in workloads:
            paragraphs = _paragraphs(experiment, workload, tokens)
            variants.append((workload, Undertone(pod, experiment.model, paragraphs, runner)))
            variants.append((workload, DirectCalls("random-batch", direct, experiment.model, paragraphs[:64], batch_size=32)))
        paper = DirectCalls(
            "paper", direct, experiment.model, experiment.paragraphs(8), length=min(512, max_tokens), truncate=True
        )
        variants.append((workloads[0], paper))
        for _, variant in variants:
            variant.warm_up()
        for number in range(experiment.rounds):
            for workload, variant in variants if number % 2 == 0 else reversed(variants):
                run = variant.run()
                seconds.setdefault((variant.name, workload.name), []).append(run.seconds / run.paragraphs)
            progress(f"round {number + 1} of {experiment.rounds}")
    costs = [
        _Cost(variant, workload, tuple(seconds[variant, workload.name]))
        for variant in _VARIANTS
        for workload in workloads
        if (variant, workload.name) in seconds
    ]
    return _report(experiment, costs)


def _paragraphs(experiment: Experiment, workload: _Workload, tokens: int) -> list[Paragraph]:
    copies = max(1, round(tokens / sum(workload.lengths)), round(64 / len(workload.lengths)))
    lengths = list(workload.lengths * copies)
    random.Random(7).shuffle(lengths)
    return experiment.source.paragraphs(lengths)


def _report(experiment: Experiment, costs: Sequence[_Cost]) -> Report:
    figures = []
    for variant in ("undertone", "random-batch"):
        own = [one for one in costs if one.variant == variant]
        separate = {one.workload.lengths[0]: one.median for one in own if not one.workload.is_mixed}
        for one in own:
            if one.workload.is_mixed:
                expected = sum(separate[length] for length in one.workload.lengths) / len(one.workload.lengths)
                ratio = MedianRange.of(seconds / expected for seconds in one.seconds)
                figures.append(Figure(f"{variant}: {one.workload.name}, mixed / separate", ratio, ".2f"))
    workloads = dict.fromkeys(one.workload for one in costs)
    return experiment.report(
        "cost",
        table=Table(
            ("tokens per paragraph", *(f"{variant}, ms per paragraph" for variant in _VARIANTS[:2])),
            tuple(_row(workload, costs) for workload in workloads),
        ),
        figures=figures,
        plot=Plot(
            f"{experiment.model.label}: time per paragraph",
            "mean tokens per paragraph",
            "ms per paragraph",
            tuple(series for variant in _VARIANTS for series in _series(variant, costs)),
        ),
        samples=costs,
    )


def _row(workload: _Workload, costs: Sequence[_Cost]) -> tuple[str, ...]:
    milliseconds = {one.variant: one.median * 1e3 for one in costs if one.workload == workload}
    return workload.name, *(f"{milliseconds[variant]:.2f}" for variant in _VARIANTS[:2])


def _series(variant: str, costs: Sequence[_Cost]) -> list[Series]:
    own = [one for one in costs if one.variant == variant]
    if variant == "paper":
        (one,) = own
        milliseconds = one.median * 1e3
        return [Series("paper, any length", (0.0, float(LENGTHS[-1])), (milliseconds, milliseconds))]
    series = []
    for mixed in (False, True):
        points = sorted((one.workload.mean, one.median * 1e3) for one in own if one.workload.is_mixed == mixed)
        if points:
            x, y = zip(*points, strict=True)
            series.append(Series(f"{variant}, {'mixed' if mixed else 'equal'} lengths", x, y, line=not mixed))
    return series
