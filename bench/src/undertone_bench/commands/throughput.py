"""Throughput of several ways to serve one model, measured in turn."""

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

import click
from undertone_cli.quantiles import quantile

from undertone_bench.conditions import Conditions, current_conditions, read_continued
from undertone_bench.errors import BenchError
from undertone_bench.experiment import Experiment
from undertone_bench.inference_worker import InferenceWorker, has_openvino
from undertone_bench.machine import Environment
from undertone_bench.models import BenchModel
from undertone_bench.options import count_option, experiment_options, progress, reporting
from undertone_bench.pods import ALL_CORES, running_pod
from undertone_bench.report import Figure, Goal, MedianRange, Plot, Report, Series, Table
from undertone_bench.variants import DirectCalls, InProcess, Run, Undertone, Variant

BENCHMARK: Final = "throughput"
VARIANTS: Final = ("paper", "naive", "random-batch", "undertone", "ideal", "openvino")

_HEADER: Final = (
    "variant",
    "paragraphs/s",
    "tokens/s",
    "padding factor",
    "call p50 ms",
    "p90",
    "p99",
    "CPU s per paragraph",
    "GFLOP/s",
)

Runs = dict[str, list[Run]]
Peaks = dict[str, list[float]]


@click.command(
    epilog="""\b
Variants:
  paper         one paragraph per call, truncated or padded to 512 tokens, synchronous
  naive         the same without padding
  random-batch  32 paragraphs per call in random order, padded to the longest
  undertone     client library, sidecar and model server with their defaults
  ideal         optimal batches in process, without a server
  openvino      the same batches with OpenVINO, if the package is installed

\b
Examples:
  undertone-bench throughput
  undertone-bench throughput --model bert-base --paragraphs 192 --rounds 2
  undertone-bench throughput --variants undertone,ideal --texts novel.txt"""
)
@experiment_options(rounds=5)
@click.option("--variants", "names", default=",".join(VARIANTS), show_default=True, help="Variants, separated by commas.")
@count_option(
    "--paragraphs",
    "count",
    default=1024,
    help_text="Paragraphs of undertone, ideal and openvino. The slower variants get fewer.",
    least=32,
)
@count_option("--budget", default=2048, help_text="Maximum padded tokens of an optimal batch.", least=16)
@click.option("--append", is_flag=True, help="Add the rounds to those of the report in --output, if its options are the same.")
@click.option("--baseline", help="Model of the variant paper, such as a model in fp32. Default: --model.")
@reporting
def throughput(experiment: Experiment, names: str, count: int, budget: int, append: bool, baseline: str | None) -> Report:
    """Compare ways to serve a model: paragraphs per second, padding, CPU time and GFLOP/s.

    Each round runs every variant once, in alternating order. Ratios are computed within a round.
    """
    chosen = list(dict.fromkeys(names.split(",")))
    if unknown := set(chosen) - set(VARIANTS):
        raise click.UsageError(f"--variants '{', '.join(sorted(unknown))}' is invalid: use {', '.join(VARIANTS)}")
    conditions = current_conditions("names", "rounds", "append")
    earlier = None
    if append:
        output: Path = click.get_current_context().params["output"]
        earlier = read_continued(output / f"{BENCHMARK}-{experiment.model.label}.json", conditions)
        _refuse_other_variants(earlier, chosen)
    runs, peaks = _measure(experiment, chosen, count, BenchModel.find(baseline) if baseline else None, budget, earlier)
    return _report(experiment, runs, peaks, conditions)


def _measure(
    experiment: Experiment,
    names: Sequence[str],
    count: int,
    baseline: BenchModel | None,
    budget: int,
    earlier: Report | None,
) -> tuple[Runs, Peaks]:
    dtypes = {"fp32": "float32"} | ({"bf16": "bfloat16"} if Environment.read().has_bf16 else {})
    with contextlib.ExitStack() as stack:
        peak_worker = stack.enter_context(InferenceWorker(experiment.model.folder))
        variants = _variants(stack, experiment, names, count, baseline, budget)
        runs: Runs = {variant.name: [] for variant in variants}
        peaks: Peaks = {name: [] for name in dtypes}
        if earlier:
            _restore(earlier, runs, peaks)
        for variant in variants:
            variant.warm_up()
        for number in range(experiment.rounds):
            for name, dtype in dtypes.items():
                peaks[name].append(peak_worker.peak(dtype))
            for variant in variants if number % 2 == 0 else reversed(variants):
                run = variant.run()
                runs[variant.name].append(run)
                progress(f"round {number + 1} of {experiment.rounds}: {variant.name:12} {run.rate:9.2f} paragraphs/s")
    return runs, peaks


def _refuse_other_variants(earlier: Report, chosen: Sequence[str]) -> None:
    names = [one["variant"] for one in earlier.samples[:-1]]
    if set(names) != {name for name in chosen if name != "openvino" or has_openvino()}:
        raise BenchError(f"the existing report has the variants {', '.join(names)}: use the same --variants, or omit --append")


def _restore(earlier: Report, runs: Runs, peaks: Peaks) -> None:
    """Copy the rounds of an earlier report with the same variants."""
    *variants, last = earlier.samples
    for one in variants:
        runs[one["variant"]] += [Run(**{**run, "latencies": tuple(run["latencies"])}) for run in one["runs"]]
    for name, values in last["peaks"].items():
        peaks[name].extend(values)


def _variants(
    stack: contextlib.ExitStack,
    experiment: Experiment,
    names: Sequence[str],
    count: int,
    baseline: BenchModel | None,
    budget: int,
) -> list[Variant]:
    model = experiment.model
    pod = stack.enter_context(running_pod(model, experiment.sidecar_flags))
    direct = stack.enter_context(running_pod(model, ALL_CORES))
    runner = stack.enter_context(asyncio.Runner())
    all_paragraphs, quarter = experiment.paragraphs(count), experiment.paragraphs(max(32, count // 4))
    sixteenth, batches = experiment.paragraphs(max(8, count // 16)), experiment.paragraphs(max(32, count // 256 * 32))
    paper_model = baseline or model
    paper_pod = stack.enter_context(running_pod(baseline, ALL_CORES)) if baseline else direct
    paper_length = min(512, paper_model.contract.max_tokens)
    factories: dict[str, Callable[[], Variant]] = {
        "paper": lambda: DirectCalls("paper", paper_pod, paper_model, sixteenth, length=paper_length, truncate=True),
        "naive": lambda: DirectCalls("naive", direct, model, quarter),
        "random-batch": lambda: DirectCalls("random-batch", direct, model, batches, batch_size=32),
        "undertone": lambda: Undertone(pod, model, all_paragraphs, runner),
        "ideal": lambda: InProcess(
            "ideal", "pod", stack.enter_context(InferenceWorker(model.folder)), model, all_paragraphs, budget
        ),
    }
    if has_openvino():
        factories["openvino"] = lambda: InProcess(
            "openvino",
            "openvino",
            stack.enter_context(InferenceWorker(_reference_graph(stack, model))),
            model,
            all_paragraphs,
            budget,
        )
    return [factories[name]() for name in names if name in factories]


def _reference_graph(stack: contextlib.ExitStack, model: BenchModel) -> Path:
    """The model's reference graph for OpenVINO. Raises BenchError.

    OpenVINO takes twice as long with the graph that is optimized for TensorFlow, and reads no bf16
    graph; where the CPU has bf16, it uses it for an fp32 graph.
    """
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="undertone-"))
    # In a process of its own, because TensorFlow's threads would disturb the measurement.
    command = [sys.executable, "-m", "undertone_bench.reference_graph", str(model.folder), folder]
    if subprocess.run(command, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"}, check=False).returncode:
        raise BenchError(f"cannot write a graph for OpenVINO from {model.folder}: omit openvino from --variants")
    return Path(folder)


def _report(
    experiment: Experiment, runs: Mapping[str, Sequence[Run]], peaks: Mapping[str, Sequence[float]], conditions: Conditions
) -> Report:
    rates = {name: [run.rate for run in of_variant] for name, of_variant in runs.items()}
    figures = [
        Figure(f"{name} matrix product, GFLOP/s", MedianRange.of(value / 1e9 for value in values), ".0f")
        for name, values in peaks.items()
    ]
    for one, other, goal in (("undertone", "paper", 15.0), ("undertone", "ideal", 0.95), ("openvino", "ideal", None)):
        if one in rates and other in rates:
            ratio = MedianRange.of_ratios(rates[one], rates[other])
            figures.append(Figure(f"{one} / {other}", ratio, ".2f", Goal("at least", goal) if goal else None))
    return experiment.report(
        BENCHMARK,
        table=Table(
            (*_HEADER, *(f"share of the {name} product" for name in peaks)),
            tuple(_row(name, of_variant, peaks) for name, of_variant in runs.items()),
        ),
        figures=figures,
        plot=Plot(
            f"{experiment.model.label}: paragraphs/s",
            "",
            "paragraphs/s",
            (Series("paragraphs/s", tuple(rates), tuple(median(values) for values in rates.values())),),
        ),
        samples=[{"variant": name, "runs": [asdict(run) for run in of_variant]} for name, of_variant in runs.items()]
        + [{"peaks": {name: list(values) for name, values in peaks.items()}}],
        notes=() if "openvino" in runs else (f"The variant `openvino` did not run: {_openvino_absence()}.",),
        conditions=conditions,
    )


def _openvino_absence() -> str:
    return "`--variants` does not name it" if has_openvino() else "the package openvino is not installed"


def _row(name: str, runs: Sequence[Run], peaks: Mapping[str, Sequence[float]]) -> tuple[str, ...]:
    cpu = {process: fmean(run.cpu_seconds[process] / run.paragraphs for run in runs) for process in runs[0].cpu_seconds}
    speed = median(run.operations / run.seconds for run in runs)
    latencies = [latency * 1e3 for run in runs for latency in run.latencies]
    return (
        name,
        f"{MedianRange.of(run.rate for run in runs):.2f}",
        f"{median(run.tokens / run.seconds for run in runs):.0f}",
        f"{median(run.padded_tokens / run.tokens for run in runs):.3f}",
        *(f"{quantile(latencies, q):.0f}" if latencies else "–" for q in (0.5, 0.9, 0.99)),
        ", ".join(f"{process} {seconds:.4f}" for process, seconds in cpu.items()),
        f"{speed / 1e9:.0f}",
        *(f"{speed / median(peak):.0%}" for peak in peaks.values()),
    )
