"""The best settings of a pod on this machine, for the user's texts and objective."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Final

import click
import yaml
from undertone_telemetry.options import refuse_unused

from undertone_bench.conditions import MACHINE
from undertone_bench.errors import BenchError
from undertone_bench.experiment import Experiment
from undertone_bench.machine import Environment
from undertone_bench.models import RANDOM_MODELS, BenchModel
from undertone_bench.options import (
    POSITIVE,
    Command,
    FiniteRange,
    model_option,
    precisions_option,
    progress,
    reporting,
    seconds_option,
    texts_option,
)
from undertone_bench.processes import first_cpus
from undertone_bench.report import Figure, MedianRange, Report, Table
from undertone_bench.tuning.pod_setup import DEFAULT_BATCH_TOKENS, PodSetup, all_setups
from undertone_bench.tuning.trial import Objective, Trial, measure, measure_undisturbed, search
from undertone_bench.tuning.trials_file import TrialsFile

BENCHMARK: Final = "tune"

_ORIGIN: Final = "Settings of a pod by"
"""The start of a file of values."""

_MIN_TRIALS: Final = 20
_SHARE: Final = 10
"""A search has one trial for this number of setups."""
_NEAR: Final = 0.95
"""A rate is near the best if it is at least this share of it."""


def _levels(name: str, default: str, help_text: str, least: int = 1) -> Callable[[Command], Command]:
    return click.option(name, multiple=True, type=click.IntRange(least), help=f"{help_text}; repeatable. Default: {default}.")


@click.command(
    epilog="""\b
Objectives, in MLPerf's terms:
  offline   paragraphs per second of a batch job
  server    the highest Poisson rate of single paragraphs whose p99 latency is within --p99

\b
Examples:
  undertone-bench tune --model minilm --texts novel.txt --write values.yaml
  undertone-bench tune --objective server --p99 0.3
  undertone-bench tune --model bert-base --precision bf16 --cpus 1 --cpus 2 --seconds 20
  undertone-bench tune --grid --batch-tokens 2048 --omp-threads 1 --omp-threads 2
  undertone-bench tune --model minilm --grid --resume            continue an interrupted run"""
)
@model_option
@precisions_option("all that the CPU has instructions for")
@_levels("--cpus", "all", "CPUs of the pod, on which it is pinned")
@_levels("--calls", "powers of two up to the CPUs", "Calls to the model server at once")
@_levels("--threads", "powers of two up to the CPUs", "Threads inside an operation (intra-op)")
@_levels("--batch-tokens", ", ".join(map(str, DEFAULT_BATCH_TOKENS)), "Maximum tokens of a batch", 16)
@click.option(
    "--onednn", multiple=True, type=click.Choice(["on", "off"]), help="TensorFlow's oneDNN kernels; repeatable. Default: both."
)
@_levels("--omp-threads", "unset", "OMP_NUM_THREADS of the model server")
@texts_option
@click.option(
    "--objective",
    default="offline",
    show_default=True,
    type=click.Choice(["offline", "server"]),
    help="What the best settings maximize, for each CPU.",
)
@click.option(
    "--p99", default=0.3, show_default=True, type=POSITIVE, metavar="SECONDS", help="Maximum p99 latency of --objective server."
)
@click.option("--trials", type=click.IntRange(1), help="Pods that are measured. Default: a tenth of all setups, at least 20.")
@seconds_option("--seconds", 6.0, "Duration of each measurement. Use at least ten times the duration of the longest call.")
@click.option("--grid", is_flag=True, help="Measure all setups, and compute how many trials a search of them needs.")
@click.option(
    "--resume",
    is_flag=True,
    help="Continue an interrupted run, or add setups to it: keep the trials of tune-MODEL-OBJECTIVE.jsonl in --output, "
    "and do not repeat them. Only setups that the other options allow are chosen and reported. --model, --texts, --seconds "
    "and the machine must be the same. Without it, the file is written anew.",
)
@click.option(
    "--max-other-cpus",
    type=FiniteRange(0),
    metavar="CPUS",
    help="Measure a trial again, up to twice, if other programs used more CPUs than this meanwhile. Default: no limit.",
)
@click.option(
    "--write",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File for the chart's values of the best setup. Only such a file is replaced.",
)
@reporting
def tune(
    model: str,
    precisions: Sequence[str],
    cpus: Sequence[int],
    calls: Sequence[int],
    threads: Sequence[int],
    batch_tokens: Sequence[int],
    onednn: Sequence[str],
    omp_threads: Sequence[int],
    texts: Path | None,
    objective: str,
    p99: float,
    trials: int | None,
    seconds: float,
    grid: bool,
    resume: bool,
    max_other_cpus: float | None,
    write: Path | None,
) -> Report:
    """Find the settings of a pod with the most paragraphs per second for each CPU.

    The settings are calls at once, threads, tokens of a batch, precision, CPUs, oneDNN and OpenMP.
    A pod is started and measured for each trial. A regression of the trials so far chooses the next
    one, so that a tenth of all setups is enough. The first trial has a pod's default settings. The
    model server is undertone-dev-server, which runs TensorFlow as TF Serving does.
    """
    if objective == "offline":
        refuse_unused("has no effect with --objective offline: omit it, or add --objective server", "p99")
    if grid:
        refuse_unused("has no effect with --grid, which measures all setups: omit one of them", "trials")
    if write is not None and not write.parent.is_dir():
        raise click.UsageError(f"--write {write}: there is no folder {write.parent}: create it, or name another")
    if write is not None and write.exists() and not write.read_bytes().startswith(f"# {_ORIGIN}".encode()):
        raise click.UsageError(f"--write {write} exists and is not of undertone-bench tune: name a new file")
    goal = Objective(objective, p99)
    models = _models(model, precisions)
    setups = all_setups(
        precisions=list(models),
        cpus=cpus or [Environment.read().cpus],
        calls=calls,
        threads=threads,
        batch_tokens=batch_tokens or DEFAULT_BATCH_TOKENS,
        onednn=[one == "on" for one in onednn or ("on", "off")],
        omp_threads=omp_threads or (0,),
    )
    if not setups:
        raise click.UsageError("no setup is possible: use at most as many --calls as --cpus, and 2 threads for each CPU in all")
    first_cpus(max(setup.cpus for setup in setups))
    experiments = {name: Experiment.create(found, texts, 1) for name, found in models.items()}
    # Trials with another bound must not be reused.
    bound = f"-{p99:g}s" if objective == "server" else ""
    subject = f"{next(iter(models.values())).contract.name}-{objective}{bound}"
    output: Path = click.get_current_context().params["output"]
    conditions = {
        "--model": model,
        "--texts": str(texts or "of the paper's lengths"),
        "--seconds": seconds,
        MACHINE: str(Environment.read()),
    }
    file = TrialsFile(output / f"{BENCHMARK}-{subject}.jsonl", conditions)
    limit = math.inf if max_other_cpus is None else max_other_cpus
    if not resume:
        file.clear()
    requested = set(setups)
    known = {setup: trial for setup, trial in file.read().items() if setup in requested and trial.other_cpus <= limit}
    count = len(setups) if grid else min(len(setups), trials or max(_MIN_TRIALS, len(setups) // _SHARE))
    progress(f"{count} trials of {len(setups)} setups; objective: {goal}")

    def measured(setup: PodSetup) -> Trial:
        if setup not in known:
            known[setup] = measure_undisturbed(lambda: measure(experiments[setup.precision], setup, goal, seconds), limit)
            file.append(known[setup])
            progress(f"trial {len(known)}: {setup}: {known[setup].rate:.2f} paragraphs/s")
        return known[setup]

    found = [measured(setup) for setup in setups] if grid else search(setups, measured, count)
    best = max(known.values(), key=lambda trial: trial.rate_per_cpu)
    if not best.rate:
        remedy = "or use a larger --p99" if objective == "server" else "or increase --seconds"
        raise BenchError(f"no pod met the objective ({goal}): see the messages above, {remedy}")
    report = _report(subject, goal, found[0], list(known.values()), best, len(setups), _needed(setups, known) if grid else None)
    if write:
        write.write_text(chart_values(report, goal, best, len(known), len(setups)), encoding="utf-8")
        progress(f"values: {write}")
    return report


def _models(name: str, precisions: Sequence[str]) -> dict[str, BenchModel]:
    """The models by precision."""
    if name not in RANDOM_MODELS:
        found = [BenchModel.find(name, precision) for precision in precisions or (None,)]
    else:
        supported = ("fp32", "bf16") if Environment.read().has_bf16 else ("fp32",)
        found = [BenchModel.find(name, precision) for precision in precisions or supported]
    return {model.contract.precision: model for model in found}


def chart_values(report: Report, objective: Objective, best: Trial, trials: int, setups: int) -> str:
    """The chart's values as YAML. Comments say how they were found."""
    summary = report.summary
    evidence = (
        f"{_ORIGIN} `{summary.command}`, {summary.date}.",
        f"Machine: {summary.environment}.",
        f"Objective: {objective}. {trials} of {setups} setups were measured with undertone-dev-server.",
        f"Best: {best.setup}: {best.rate:.2f} paragraphs/s, {best.rate_per_cpu:.2f} for each CPU.",
    )
    return "".join(f"# {line}\n" for line in evidence) + yaml.safe_dump(best.setup.chart_values, sort_keys=False)


def _needed(setups: Sequence[PodSetup], known: Mapping[PodSetup, Trial]) -> int:
    """The trials that a search with the rates of the grid needs for a setup near the best."""
    trials = search(setups, lambda setup: known[setup], len(setups))
    near = _NEAR * max(trial.rate_per_cpu for trial in trials)
    return next(number for number, trial in enumerate(trials, 1) if trial.rate_per_cpu >= near)


def _report(
    subject: str,
    objective: Objective,
    default: Trial,
    trials: Sequence[Trial],
    best: Trial,
    setups: int,
    needed: int | None,
) -> Report:
    """`needed` is None without a grid."""
    ordered = sorted(trials, key=lambda trial: -trial.rate_per_cpu)
    header = (
        *("precision", "CPUs", "calls", "threads", "batch tokens", "oneDNN", "OMP_NUM_THREADS"),
        *("paragraphs/s", "for each CPU", "of the best", "CPUs of other programs"),
    )
    figures = [
        Figure(f"best paragraphs/s for each CPU ({objective})", MedianRange.of([best.rate_per_cpu]), ".2f"),
        Figure("best / default settings", MedianRange.of([best.rate_per_cpu / max(default.rate_per_cpu, 1e-9)]), ".2f"),
        Figure(f"trials of {setups} setups", MedianRange.of([float(len(trials))]), ".0f"),
    ]
    if needed:
        name = "trials that a search of the same setups needs to come within 5 % of the best"
        figures.append(Figure(name, MedianRange.of([float(needed)]), ".0f"))
    return Report.new(
        BENCHMARK,
        subject,
        table=Table(header, tuple(_row(trial, best) for trial in ordered)),
        figures=figures,
        samples=[asdict(trial) for trial in trials],
        notes=[f"Best: {best.setup}.", _disturbance(trials)],
    )


def _disturbance(trials: Sequence[Trial]) -> str:
    others = [trial.other_cpus for trial in trials]
    return f"During a trial, other programs used {median(others):.2f} CPUs (median), and at most {max(others):.2f}."


def _row(trial: Trial, best: Trial) -> tuple[str, ...]:
    setup = trial.setup
    return (
        setup.precision,
        *map(str, (setup.cpus, setup.calls, setup.threads, setup.batch_tokens)),
        "on" if setup.onednn else "off",
        str(setup.omp_threads or "unset"),
        f"{trial.rate:.2f}" if trial.rate else "failed",
        f"{trial.rate_per_cpu:.2f}",
        f"{trial.rate_per_cpu / best.rate_per_cpu:.0%}",
        f"{trial.other_cpus:.2f}",
    )
