"""Speed of the exported graph beside other graphs of the same weights, and beside OpenVINO."""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

import click
import numpy as np
from undertone_dev_server.settings import ENVIRONMENT_FILE, recommended_environment

from undertone_bench.errors import BenchError
from undertone_bench.inference_worker import InferenceWorker, has_openvino
from undertone_bench.machine import Environment
from undertone_bench.models import RANDOM_MODELS, Batch
from undertone_bench.options import count_option, progress, reporting, rounds_option
from undertone_bench.report import MedianRange, Report, Table

FROZEN_WEIGHTS: Final = {"TF_ONEDNN_ASSUME_FROZEN_WEIGHTS": "1"}
WARM_UP_RUNS: Final = 2
"""Runs at a new shape, in which TensorFlow optimizes the graph and allocates memory."""

Shape = tuple[int, int]
Times = Mapping[tuple[int, Shape], list[list[float]]]
"""Seconds of each run, in a list per round, by index of the variant and shape."""


class ShapeType(click.ParamType[Shape]):
    """ROWSxTOKENS, such as 8x128."""

    name = "ROWSxTOKENS"

    def convert(self, value: str | Shape, param: click.Parameter | None, ctx: click.Context | None) -> Shape:
        if isinstance(value, tuple):
            return value
        rows, _, length = value.partition("x")
        if not (rows.isdecimal() and length.isdecimal() and int(rows) and int(length)):
            self.fail(f"'{value}' is not a shape: use ROWSxTOKENS, such as 8x128", param, ctx)
        return int(rows), int(length)


@dataclass(frozen=True, slots=True)
class GraphVariant:
    """The name of a graph's folder, its engine, and additional environment variables."""

    name: str
    graph: str
    variables: Mapping[str, str] = field(default_factory=dict)
    engine: str = "session"


def variants(*, has_bf16: bool, openvino: bool) -> Iterator[GraphVariant]:
    """The variants that this machine can run. The first is the baseline."""
    yield GraphVariant("conventional SavedModel, fp32", "conventional")
    yield GraphVariant(f"the same, with {ENVIRONMENT_FILE}", "conventional", recommended_environment())
    yield GraphVariant("exported graph, fp32", "fp32")
    setting = ", ".join(f"{name}={value}" for name, value in FROZEN_WEIGHTS.items())
    yield GraphVariant(f"the same, with {setting}", "fp32", FROZEN_WEIGHTS)
    yield GraphVariant(f"the same, with {ENVIRONMENT_FILE}", "fp32", recommended_environment())
    yield GraphVariant(
        f"exported graph in int8, which fails the gate, with {ENVIRONMENT_FILE}", "int8", recommended_environment()
    )
    if has_bf16:
        yield GraphVariant("exported graph, bf16", "bf16")
        yield GraphVariant(f"the same, with {ENVIRONMENT_FILE}", "bf16", recommended_environment())
    if openvino:
        precision = "bf16" if has_bf16 else "fp32"  # OpenVINO's default on such a CPU
        yield GraphVariant(f"OpenVINO on the conventional SavedModel, {precision}", "conventional", engine="openvino")


@click.command(
    epilog="""\b
Examples:
  undertone-bench graph compare
  undertone-bench graph compare --model minilm --shape 4x32 --rounds 2"""
)
@click.option(
    "--model",
    default="bert-base",
    show_default=True,
    type=click.Choice(RANDOM_MODELS),
    help="Architecture. The weights are random.",
)
@click.option(
    "--shape",
    "shapes",
    type=ShapeType(),
    multiple=True,
    default=["8x128", "16x64"],
    show_default=True,
    help="Shape of a batch; repeatable.",
)
@rounds_option(3)
@count_option("--runs", default=3, help_text="Timed runs per round, variant and shape.")
@reporting
def compare(model: str, shapes: Sequence[Shape], rounds: int, runs: int) -> Report:
    """Compare the exported graph with a conventional one, with int8 and with OpenVINO.

    Each variant runs in a separate process with all CPUs, in a Session as in TF Serving. The
    variants run one after the other, in alternating order. Takes five minutes; BERT-base needs
    12 GB of memory.
    """
    machine = Environment.read()
    chosen = list(variants(has_bf16=machine.has_bf16, openvino=has_openvino()))
    with tempfile.TemporaryDirectory(prefix="undertone-") as folder:
        graphs = sorted({variant.graph for variant in chosen})
        # In a process of its own, because TensorFlow's threads would disturb the measurement.
        command = [sys.executable, "-m", "undertone_bench.graph_variants", folder, model, *graphs]
        if subprocess.run(command, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"}, check=False).returncode:
            raise BenchError(f"cannot write the graphs of {model}; see the output above")
        times = measure(chosen, Path(folder), shapes, rounds, runs)
    notes = []
    if not machine.has_bf16:
        notes.append("Without bf16: this CPU has neither AMX nor AVX512-BF16 and would emulate it.")
    if not has_openvino():
        notes.append("Without OpenVINO: the package openvino is not installed.")
    return Report.new("graph-compare", model, table=_table(chosen, shapes, times), notes=notes)


def measure(chosen: Sequence[GraphVariant], folder: Path, shapes: Sequence[Shape], rounds: int, runs: int) -> Times:
    """Runs the variants in turns, each in a process of its own. Their graphs are in `folder`."""
    times = defaultdict(list)
    plain = {name: value for name, value in os.environ.items() if name not in recommended_environment()}
    with contextlib.ExitStack() as stack:
        workers = [
            stack.enter_context(InferenceWorker(folder / variant.graph, {**plain, **variant.variables})) for variant in chosen
        ]
        batches = {shape: Batch.of(list(np.random.default_rng(0).integers(1, 100, shape, np.int32))) for shape in shapes}
        for worker, variant in zip(workers, chosen, strict=True):
            for batch in batches.values():
                worker.compute(variant.engine, [batch] * WARM_UP_RUNS)
        for number in range(rounds):
            order = range(len(chosen))
            for index in order if number % 2 == 0 else reversed(order):
                for shape, batch in batches.items():
                    worker, engine = workers[index], chosen[index].engine
                    worker.compute(engine, [batch])  # refills the caches after another variant's run
                    times[index, shape].append([worker.compute(engine, [batch]).seconds for _ in range(runs)])
            progress(f"round {number + 1} of {rounds}")
    return times


def _table(chosen: Sequence[GraphVariant], shapes: Sequence[Shape], times: Times) -> Table:
    header = ["variant"]
    for rows, length in shapes:
        header += [f"{rows} × {length} tokens: best, median ms", "relative speed"]
    lines = []
    for index, variant in enumerate(chosen):
        cells = [variant.name]
        for shape in shapes:
            seconds = [one for of_round in times[index, shape] for one in of_round]
            baseline, own = ([min(of_round) for of_round in times[one, shape]] for one in (0, index))
            ratio = MedianRange.of_ratios(baseline, own)
            cells += [f"{min(seconds) * 1e3:.0f}, {median(seconds) * 1e3:.0f}", f"{ratio:.2f}"]
        lines.append(tuple(cells))
    return Table(tuple(header), tuple(lines))
