"""Speed of the exported graphs of the supported families, beside BERT of the same size."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Final, Literal

import click
from undertone_dev_server.settings import recommended_environment

from undertone_bench.commands.graph_compare import GraphVariant, Shape, ShapeType, Times, measure
from undertone_bench.commands.publish import markdown_table
from undertone_bench.errors import BenchError
from undertone_bench.family_graphs import GraphFacts
from undertone_bench.machine import Environment
from undertone_bench.models import FAMILY_MODELS, PRECISIONS
from undertone_bench.options import count_option, reporting, rounds_option
from undertone_bench.report import MedianRange, Report, Table

BASELINE: Final = FAMILY_MODELS[0]


@click.command(
    epilog="""\b
Examples:
  undertone-bench families
  undertone-bench families --model mpnet-base --shape 2x512 --precision fp32"""
)
@click.option(
    "--model",
    "models",
    type=click.Choice(FAMILY_MODELS[1:]),
    multiple=True,
    default=FAMILY_MODELS[1:],
    help=f"Model to compare with {BASELINE}; repeatable. The weights are random. Default: all.",
)
@click.option(
    "--shape",
    "shapes",
    type=ShapeType(),
    multiple=True,
    default=["8x128"],
    show_default=True,
    help="Shape of a batch; repeatable.",
)
@click.option(
    "--precision",
    type=click.Choice(("auto", *PRECISIONS)),
    default="auto",
    show_default=True,
    help="Precision of the graphs. auto: bf16 if this CPU has it, else fp32.",
)
@rounds_option(3)
@count_option("--runs", default=3, help_text="Timed runs per round, model and shape.")
@reporting
def families(
    models: Sequence[str],
    shapes: Sequence[Shape],
    precision: Literal["auto", "fp32", "bf16"],
    rounds: int,
    runs: int,
) -> Report:
    """Compare the exported graphs of the supported families with that of BERT-base.

    Each model runs in a separate process with all CPUs and the model server's environment, in a
    Session as in TF Serving. The models run one after the other, in alternating order. Takes five
    minutes; all models need 12 GB of memory in fp32 and 8 GB in bf16.
    """
    chosen = precision if precision != "auto" else "bf16" if Environment.read().has_bf16 else "fp32"
    names = (BASELINE, *dict.fromkeys(models))
    with tempfile.TemporaryDirectory(prefix="undertone-") as folder:
        # In a process of its own, because TensorFlow's threads would disturb the measurement.
        command = [sys.executable, "-m", "undertone_bench.family_graphs", folder, chosen, *names]
        if subprocess.run(command, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"}, check=False).returncode:
            raise BenchError("cannot write the graphs; see the output above")
        facts = {name: GraphFacts.read(Path(folder, f"{name}.json")) for name in names}
        variants = [GraphVariant(name, name, recommended_environment()) for name in names]
        times = measure(variants, Path(folder), shapes, rounds, runs)
    found = table(facts, shapes, times)
    click.echo(f"In Markdown:\n\n{markdown_table(found)}\n")
    return Report.new("families", f"{BASELINE}-{chosen}", table=found)


def table(facts: Mapping[str, GraphFacts], shapes: Sequence[Shape], times: Times) -> Table:
    """A row for each model, in the order of `facts`, whose first model is the baseline."""
    header = ["model", "layers", "parameters of the linear layers"]
    for rows, length in shapes:
        header += [f"{rows} × {length} tokens: best, median ms", "paragraphs/s", f"relative to {next(iter(facts))}"]
    header.append("fused: linear, attention, layer norms")
    header.append("other products")
    lines = []
    for index, (name, fact) in enumerate(facts.items()):
        cells = [name, str(fact.layers), f"{fact.parameters / 1e6:.0f} M"]
        for shape in shapes:
            baseline, own = ([min(of_round) for of_round in times[one, shape]] for one in (0, index))
            seconds = [one for of_round in times[index, shape] for one in of_round]
            per_second = MedianRange.of(shape[0] / one for one in own)
            cells += [f"{min(seconds) * 1e3:.0f}, {median(seconds) * 1e3:.0f}", f"{per_second:.1f}"]
            cells.append(f"{MedianRange.of_ratios(baseline, own):.2f}")
        cells += [f"{fact.linear}, {fact.attention}, {fact.norms}", str(fact.unfused)]
        lines.append(tuple(cells))
    return Table(tuple(header), tuple(lines))
