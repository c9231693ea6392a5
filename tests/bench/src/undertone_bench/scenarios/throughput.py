"""Arms side by side: how many paragraphs each scores in a second."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median
from typing import Any, Final

from undertone_bench.arms import Arm, Direct, InProcess, Run, Undertone
from undertone_bench.machine import Environment
from undertone_bench.pods import running
from undertone_bench.report import Figure, Goal, Plot, Report, Series, Table
from undertone_bench.served import ServedModel
from undertone_bench.spread import Spread, quantile
from undertone_bench.taking import Taking
from undertone_bench.work import operations
from undertone_bench.worker import Worker, has_openvino

ARMS: Final = ("paper", "naive", "random-batch", "undertone", "ideal", "openvino")

_BUDGET: Final = 2048
"""Of the sidecar's calls, in padded tokens, and so of the ideal ones."""

_HEADER: Final = (
    "arm",
    "paragraphs/s",
    "tokens/s",
    "padding",
    "call p50 ms",
    "p90",
    "p99",
    "CPU s a paragraph",
    "GFLOP/s",
)


@dataclass(frozen=True, slots=True)
class _Rounds:
    """All rounds of one arm."""

    name: str
    runs: tuple[Run, ...]
    operations: int

    @property
    def rates(self) -> list[float]:
        return [run.paragraphs / run.seconds for run in self.runs]

    def of(self, value: Callable[[Run], float]) -> Spread:
        return Spread.of(value(run) for run in self.runs)


def throughput(
    taking: Taking, *, arms: Sequence[str], count: int, baseline: ServedModel | None, budget: int = _BUDGET
) -> Report:
    """Runs the `arms` in turn, round after round, the order of a round the reverse of the one before.

    `count` paragraphs for `undertone`, `ideal` and `openvino`, fewer for the slower arms. `baseline` is what `paper` is served
    with, if not with the same model.
    """
    precisions = {"fp32": "float32"} | ({"bf16": "bfloat16"} if Environment.read().has_bf16 else {})
    with contextlib.ExitStack() as stack:
        worker = stack.enter_context(Worker(taking.model.folder))
        made = _made(stack, worker, taking, arms, count, baseline, budget)
        for arm in made:
            arm.run()  # the first calls at new lengths are slow
        runs: dict[str, list[Run]] = {arm.name: [] for arm in made}
        peaks: dict[str, list[float]] = {name: [] for name in precisions}
        for number in range(taking.rounds):
            for name, precision in precisions.items():
                peaks[name].append(worker.peak(precision))
            for arm in made if number % 2 == 0 else reversed(made):
                runs[arm.name].append(arm.run())
                print(f"round {number + 1}: {arm.name:12} {_rate(runs[arm.name][-1]):9.2f} paragraphs/s", flush=True)
    found = [
        _Rounds(name, tuple(kept), operations(taking.model.contract.architecture, kept[0].sequences))
        for name, kept in runs.items()
    ]
    return _report(taking, found, peaks)


def _made(
    stack: contextlib.ExitStack,
    worker: Worker,
    taking: Taking,
    names: Sequence[str],
    count: int,
    baseline: ServedModel | None,
    budget: int,
) -> list[Arm]:
    model = taking.model
    pod = stack.enter_context(running(model, taking.flags))
    runner = stack.enter_context(asyncio.Runner())
    many, some = taking.paragraphs(count), taking.paragraphs(max(32, count // 4))
    few, batches = taking.paragraphs(max(8, count // 16)), taking.paragraphs(max(64, count // 64 * 32))
    paper_model = baseline or model
    paper_pod = stack.enter_context(running(baseline)) if baseline else pod
    longest = min(512, paper_model.contract.max_tokens)
    known: dict[str, Callable[[], Arm]] = {
        "paper": lambda: Direct("paper", paper_pod, paper_model, few, length=longest, truncate=True),
        "naive": lambda: Direct("naive", pod, model, some),
        "random-batch": lambda: Direct("random-batch", pod, model, batches, together=32),
        "undertone": lambda: Undertone(pod, model, many, runner),
        "ideal": lambda: InProcess("ideal", "session", worker, model, many, budget),
        "openvino": lambda: InProcess("openvino", "openvino", worker, model, many, budget),
    }
    return [known[name]() for name in names if name != "openvino" or has_openvino()]


def _rate(run: Run) -> float:
    return run.paragraphs / run.seconds


def _report(taking: Taking, found: Sequence[_Rounds], peaks: Mapping[str, Sequence[float]]) -> Report:
    by_name = {rounds.name: rounds for rounds in found}
    figures = [
        Figure(f"{name} matrix product, GFLOP/s", Spread.of(p / 1e9 for p in peak), ".0f") for name, peak in peaks.items()
    ]
    for one, other, goal in (("undertone", "paper", 15.0), ("undertone", "ideal", 0.95), ("openvino", "ideal", None)):
        if one in by_name and other in by_name:
            spread = Spread.of_ratios(by_name[one].rates, by_name[other].rates)
            figures.append(Figure(f"{one} / {other}", spread, ".2f", Goal("at least", goal) if goal else None))
    rates = tuple(median(rounds.rates) for rounds in found)
    return taking.report(
        "throughput",
        table=Table(
            (*_HEADER, *(f"of the {name} product" for name in peaks)),
            tuple(_row(rounds, peaks) for rounds in found),
        ),
        figures=figures,
        plot=Plot(
            f"{taking.model.label}: paragraphs a second",
            "",
            "paragraphs/s",
            (Series("paragraphs/s", tuple(rounds.name for rounds in found), rates),),
        ),
        raw=[_raw(rounds) for rounds in found] + [{"peaks": {name: list(values) for name, values in peaks.items()}}],
        notes=() if has_openvino() else ("The arm openvino was not run: the package is not installed.",),
    )


def _row(rounds: _Rounds, peaks: Mapping[str, Sequence[float]]) -> tuple[str, ...]:
    tokens = sum(rounds.runs[0].sequences)
    cpu = {name: fmean(run.cpu_seconds[name] / run.paragraphs for run in rounds.runs) for name in rounds.runs[0].cpu_seconds}
    speed = rounds.of(lambda run: rounds.operations / run.seconds)
    calls = [latency * 1e3 for run in rounds.runs for latency in run.latencies]
    return (
        rounds.name,
        f"{Spread.of(rounds.rates):.2f}",
        f"{median(tokens / run.seconds for run in rounds.runs):.0f}",
        f"{median(run.padded_tokens / tokens for run in rounds.runs):.3f}",
        *(f"{quantile(calls, part):.0f}" if calls else "–" for part in (0.5, 0.9, 0.99)),
        ", ".join(f"{name} {seconds:.4f}" for name, seconds in cpu.items()),
        f"{speed.median / 1e9:.0f}",
        *(f"{speed.median / median(peak):.0%}" for peak in peaks.values()),
    )


def _raw(rounds: _Rounds) -> dict[str, Any]:
    kept = [replace(run, sequences=()) for run in rounds.runs]
    runs = [{name: getattr(run, name) for name in ("seconds", "padded_tokens", "cpu_seconds", "latencies")} for run in kept]
    return {
        "arm": rounds.name,
        "paragraphs": rounds.runs[0].paragraphs,
        "tokens": sum(rounds.runs[0].sequences),
        "operations": rounds.operations,
        "runs": runs,
    }
