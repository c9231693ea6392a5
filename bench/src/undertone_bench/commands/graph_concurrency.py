"""Throughput of one call on all cores against one call per core, of the same graph."""

from collections.abc import Sequence
from typing import Final

import click

from undertone_bench.inference_worker import InferenceWorker
from undertone_bench.models import Batch, BenchModel
from undertone_bench.options import count_option, model_option, progress, reporting, rounds_option
from undertone_bench.report import MedianRange, Report, Table

SHAPES: Final = ((1, 16), (1, 96), (1, 512), (4, 128), (16, 128), (32, 64))

_ENGINES: Final = {"one call at a time": "session", "one call per core": "pod"}

Times = dict[tuple[str, tuple[int, int]], list[float]]
"""Milliseconds per token in each round, by engine and shape."""


@click.command(
    epilog="""\b
Examples:
  undertone-bench graph concurrency
  undertone-bench graph concurrency --model bert-base --rounds 3"""
)
@model_option
@rounds_option(5)
@count_option("--tokens", default=8192, help_text="Approximate tokens per shape and round.")
@reporting
def concurrency(model: str, rounds: int, tokens: int) -> Report:
    """Compare one call at a time on all cores with one call per core, by milliseconds per token.

    One call at a time uses TensorFlow's default threads. One call per core uses the threads of
    `undertone-sidecar plan`. A single call takes longer with one thread than with all.
    """
    served = BenchModel.find(model)
    times: Times = {}
    with InferenceWorker(served.folder) as session, InferenceWorker(served.folder) as pod:
        workers = {"session": session, "pod": pod}
        for number in range(rounds + 1):
            for shape in SHAPES:
                size = shape[0] * shape[1]
                batches = [Batch.ones(*shape)] * max(4, tokens // size)
                for name, engine in _ENGINES.items():
                    seconds = workers[engine].compute(engine, batches).seconds
                    if number:  # the first calls at a shape are slow
                        times.setdefault((name, shape), []).append(seconds / size / len(batches) * 1e3)
            if number:
                progress(f"round {number} of {rounds}")
    return Report.new("graph-concurrency", served.label, table=_table(times, list(_ENGINES)))


def _table(times: Times, names: Sequence[str]) -> Table:
    rows = []
    for shape in SHAPES:
        ranges = [MedianRange.of(times[name, shape]) for name in names]
        cells = (f"{one:.3f}" for one in ranges)
        rows.append((f"{shape[0]} × {shape[1]}", *cells, f"{ranges[1].median / ranges[0].median:.2f}"))
    header = ("rows × tokens", *(f"{name}, ms per token" for name in names), "ratio of medians")
    return Table(header, tuple(rows))
