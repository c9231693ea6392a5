"""What a paragraph costs: as much as it has tokens, whoever travels with it."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from undertone_bench.arms import Arm, Direct, Undertone
from undertone_bench.paragraphs import Paragraph
from undertone_bench.pods import ALL_CORES, running
from undertone_bench.report import Figure, Plot, Report, Series, Table
from undertone_bench.spread import Spread
from undertone_bench.taking import Taking

LENGTHS: Final = (16, 32, 64, 128, 256, 512)
MIXES: Final = ((31, 16, 1, 512), (7, 32, 1, 512), (3, 64, 1, 512))
"""So many paragraphs of so many tokens to so many others."""

_ARMS: Final = ("undertone", "random-batch", "paper")


@dataclass(frozen=True, slots=True)
class _Workload:
    """Paragraphs of one length, or of two in turn."""

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
    """Seconds a paragraph of a workload in one arm, in each round."""

    arm: str
    workload: _Workload
    seconds: tuple[float, ...]

    @property
    def spread(self) -> Spread:
        return Spread.of(self.seconds)


def cost(taking: Taking, *, tokens: int) -> Report:
    """Workloads of equal lengths and of mixed ones, each of about so many `tokens`, in the arms, round after round."""
    longest = taking.model.contract.max_tokens
    workloads = [_Workload(f"{length}", (length,)) for length in LENGTHS if length <= longest]
    for many, short, few, long in MIXES:
        if long <= longest:
            workloads.append(_Workload(f"{many} × {short} + {few} × {long}", (short,) * many + (long,) * few))
    kept: dict[tuple[str, str], list[float]] = {}
    whole = running(taking.model, ALL_CORES)
    with running(taking.model, taking.flags) as pod, whole as direct, asyncio.Runner() as runner:
        arms: list[tuple[_Workload, Arm]] = []
        for workload in workloads:
            paragraphs = _paragraphs(taking, workload, tokens)
            arms.append((workload, Undertone(pod, taking.model, paragraphs, runner)))
            arms.append((workload, Direct("random-batch", direct, taking.model, paragraphs[:64], together=32)))
        arms.append(
            (workloads[0], Direct("paper", direct, taking.model, taking.paragraphs(8), length=min(512, longest), truncate=True))
        )
        for _, arm in arms:
            arm.warm()
        for number in range(taking.rounds):
            for workload, arm in arms if number % 2 == 0 else reversed(arms):
                run = arm.run()
                kept.setdefault((arm.name, workload.name), []).append(run.seconds / run.paragraphs)
            print(f"round {number + 1} of {taking.rounds}", flush=True)
    found = [
        _Cost(arm, workload, tuple(kept[arm, workload.name]))
        for arm in _ARMS
        for workload in workloads
        if (arm, workload.name) in kept
    ]
    return _report(taking, found)


def _paragraphs(taking: Taking, workload: _Workload, tokens: int) -> list[Paragraph]:
    copies = max(1, round(tokens / sum(workload.lengths)), round(64 / len(workload.lengths)))
    lengths = list(workload.lengths * copies)
    random.Random(7).shuffle(lengths)
    return taking.source.paragraphs(lengths)


def _report(taking: Taking, found: Sequence[_Cost]) -> Report:
    figures = []
    for arm in ("undertone", "random-batch"):
        alone = {one.workload.lengths[0]: one.spread.median for one in found if one.arm == arm and not one.workload.is_mixed}
        for one in found:
            if one.arm == arm and one.workload.is_mixed:
                parts = sum(alone[length] for length in one.workload.lengths) / len(one.workload.lengths)
                spread = Spread.of(seconds / parts for seconds in one.seconds)
                figures.append(Figure(f"{arm}: {one.workload.name} together / each among its like", spread, ".2f"))
    return taking.report(
        "cost",
        table=Table(
            ("tokens of a paragraph", *(f"{arm}, ms a paragraph" for arm in _ARMS[:2])),
            tuple(_row(workload, found) for workload in dict.fromkeys(one.workload for one in found)),
        ),
        figures=figures,
        plot=Plot(
            f"{taking.model.label}: what a paragraph costs",
            "tokens, mean of the paragraphs",
            "ms a paragraph",
            tuple(series for arm in _ARMS for series in _series(arm, [one for one in found if one.arm == arm])),
        ),
        raw=found,
    )


def _row(workload: _Workload, found: Sequence[_Cost]) -> tuple[str, ...]:
    costs = {one.arm: one.spread.median * 1e3 for one in found if one.workload == workload}
    return workload.name, *(f"{costs[arm]:.2f}" for arm in _ARMS[:2])


def _series(arm: str, found: Sequence[_Cost]) -> list[Series]:
    if arm == "paper":
        (one,) = found
        ms = one.spread.median * 1e3
        return [Series("paper, any length", (0.0, float(LENGTHS[-1])), (ms, ms))]
    made = []
    for mixed in (False, True):
        costs = sorted((one.workload.mean, one.spread.median * 1e3) for one in found if one.workload.is_mixed == mixed)
        if costs:
            x, y = zip(*costs, strict=True)
            made.append(Series(f"{arm}, {'mixed' if mixed else 'equal'} lengths", x, y, line=not mixed))
    return made
