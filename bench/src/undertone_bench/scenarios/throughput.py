"""Arms side by side: how many paragraphs each scores in a second."""

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean, median
from typing import Final

from undertone_bench.arms import Arm, Direct, InProcess, Run, Undertone
from undertone_bench.errors import BenchError
from undertone_bench.machine import Environment
from undertone_bench.pods import ALL_CORES, running
from undertone_bench.report import Figure, Goal, Plot, Report, Series, Table
from undertone_bench.served import ServedModel
from undertone_bench.spread import Spread, quantile
from undertone_bench.taking import Taking
from undertone_bench.worker import Worker, has_openvino

ARMS: Final = ("paper", "naive", "random-batch", "undertone", "ideal", "openvino")

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


def throughput(
    taking: Taking,
    *,
    arms: Sequence[str],
    count: int,
    baseline: ServedModel | None,
    budget: int,
    earlier: Report | None = None,
) -> Report:
    """Runs the `arms` in turn, round after round, the order of a round the reverse of the one before.

    `count` paragraphs for `undertone`, `ideal` and `openvino`, fewer for the slower arms. `baseline` is what `paper` is served
    with, if not with the same model. `earlier` is a report of the same arms, whose rounds are kept.
    """
    precisions = {"fp32": "float32"} | ({"bf16": "bfloat16"} if Environment.read().has_bf16 else {})
    with contextlib.ExitStack() as stack:
        product = stack.enter_context(Worker(taking.model.folder))
        made = _made(stack, taking, arms, count, baseline, budget)
        runs: dict[str, list[Run]] = {arm.name: [] for arm in made}
        peaks: dict[str, list[float]] = {name: [] for name in precisions}
        if earlier:
            _remember(earlier, runs, peaks)
        for arm in made:
            arm.warm()
        for number in range(taking.rounds):
            for name, precision in precisions.items():
                peaks[name].append(product.peak(precision))
            for arm in made if number % 2 == 0 else reversed(made):
                runs[arm.name].append(arm.run())
                print(f"round {number + 1}: {arm.name:12} {_rate(runs[arm.name][-1]):9.2f} paragraphs/s", flush=True)
    return _report(taking, runs, peaks)


def _remember(earlier: Report, runs: Mapping[str, list[Run]], peaks: Mapping[str, list[float]]) -> None:
    """Raises BenchError if it was of other arms."""
    *arms, rest = earlier.raw
    if {arm["arm"] for arm in arms} != set(runs):
        raise BenchError(f"the report that is there is of {', '.join(arm['arm'] for arm in arms)}; leave out --more")
    for arm in arms:
        runs[arm["arm"]] += [Run(**{**run, "latencies": tuple(run["latencies"])}) for run in arm["runs"]]
    for name, values in rest["peaks"].items():
        peaks[name].extend(values)


def _made(
    stack: contextlib.ExitStack,
    taking: Taking,
    names: Sequence[str],
    count: int,
    baseline: ServedModel | None,
    budget: int,
) -> list[Arm]:
    model = taking.model
    pod = stack.enter_context(running(model, taking.flags))
    direct = stack.enter_context(running(model, ALL_CORES))
    runner = stack.enter_context(asyncio.Runner())
    many, some = taking.paragraphs(count), taking.paragraphs(max(32, count // 4))
    few, batches = taking.paragraphs(max(8, count // 16)), taking.paragraphs(max(32, count // 256 * 32))
    paper_model = baseline or model
    paper_pod = stack.enter_context(running(baseline, ALL_CORES)) if baseline else direct
    longest = min(512, paper_model.contract.max_tokens)
    known: dict[str, Callable[[], Arm]] = {
        "paper": lambda: Direct("paper", paper_pod, paper_model, few, length=longest, truncate=True),
        "naive": lambda: Direct("naive", direct, model, some),
        "random-batch": lambda: Direct("random-batch", direct, model, batches, together=32),
        "undertone": lambda: Undertone(pod, model, many, runner),
        "ideal": lambda: InProcess("ideal", "pod", stack.enter_context(Worker(model.folder)), model, many, budget),
    }
    if has_openvino():
        known["openvino"] = lambda: InProcess(
            "openvino", "openvino", stack.enter_context(Worker(_conventional(stack, model))), model, many, budget
        )
    return [known[name]() for name in names if name in known]


def _conventional(stack: contextlib.ExitStack, model: ServedModel) -> Path:
    """The model's graph for OpenVINO, which takes twice as long with the one that is laid out for TensorFlow, and reads none in
    bf16: where the CPU has it, it computes in it all the same. Raises BenchError."""
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="undertone-"))
    # In a process of its own, as TensorFlow's threads would be in the way here.
    command = [sys.executable, "-m", "undertone_bench.conventional", str(model.folder), folder]
    if subprocess.run(command, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"}, check=False).returncode:
        raise BenchError(f"{model.folder} could not be written for OpenVINO; leave it out of --arms")
    return Path(folder)


def _rate(run: Run) -> float:
    return run.paragraphs / run.seconds


def _report(taking: Taking, found: Mapping[str, Sequence[Run]], peaks: Mapping[str, Sequence[float]]) -> Report:
    rates = {name: [_rate(run) for run in runs] for name, runs in found.items()}
    figures = [
        Figure(f"{name} matrix product, GFLOP/s", Spread.of(p / 1e9 for p in peak), ".0f") for name, peak in peaks.items()
    ]
    for one, other, goal in (("undertone", "paper", 15.0), ("undertone", "ideal", 0.95), ("openvino", "ideal", None)):
        if one in rates and other in rates:
            spread = Spread.of_ratios(rates[one], rates[other])
            figures.append(Figure(f"{one} / {other}", spread, ".2f", Goal("at least", goal) if goal else None))
    return taking.report(
        "throughput",
        table=Table(
            (*_HEADER, *(f"of the {name} product" for name in peaks)),
            tuple(_row(name, runs, peaks) for name, runs in found.items()),
        ),
        figures=figures,
        plot=Plot(
            f"{taking.model.label}: paragraphs a second",
            "",
            "paragraphs/s",
            (Series("paragraphs/s", tuple(rates), tuple(median(values) for values in rates.values())),),
        ),
        raw=[{"arm": name, "runs": [asdict(run) for run in runs]} for name, runs in found.items()]
        + [{"peaks": {name: list(values) for name, values in peaks.items()}}],
        notes=() if "openvino" in found else (f"The arm `openvino` was not run: {_absence()}.",),
    )


def _absence() -> str:
    return "it was not asked for" if has_openvino() else "the package is not installed"


def _row(name: str, runs: Sequence[Run], peaks: Mapping[str, Sequence[float]]) -> tuple[str, ...]:
    cpu = {process: fmean(run.cpu_seconds[process] / run.paragraphs for run in runs) for process in runs[0].cpu_seconds}
    speed = median(run.operations / run.seconds for run in runs)
    calls = [latency * 1e3 for run in runs for latency in run.latencies]
    return (
        name,
        f"{Spread.of(map(_rate, runs)):.2f}",
        f"{median(run.tokens / run.seconds for run in runs):.0f}",
        f"{median(run.padded_tokens / run.tokens for run in runs):.3f}",
        *(f"{quantile(calls, part):.0f}" if calls else "–" for part in (0.5, 0.9, 0.99)),
        ", ".join(f"{process} {seconds:.4f}" for process, seconds in cpu.items()),
        f"{speed / 1e9:.0f}",
        *(f"{speed / median(peak):.0%}" for peak in peaks.values()),
    )
