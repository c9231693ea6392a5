"""Profile of an exported graph: TensorFlow's operations and oneDNN's kernels."""

import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import click
import numpy as np
from undertone_dev_server.settings import recommended_environment

from undertone_bench.commands.graph_compare import Shape, ShapeType
from undertone_bench.models import BenchModel
from undertone_bench.options import count_option, model_option

KERNEL_RUNS: Final = 3
"""Runs in the process whose kernels are logged. The last one is reported."""

_LOG_PREFIX: Final = "onednn_verbose"
_TRACED_DEVICE: Final = "/device:CPU:0"
"""Suffix of the device whose step statistics have times and names of operations."""


@click.command(
    epilog="""\b
Examples:
  undertone-bench graph profile
  undertone-bench graph profile --model bert-base --shape 16x64 --threads 4"""
)
@model_option
@click.option("--shape", type=ShapeType(), default="8x128", show_default=True, help="Rows and tokens of the batch.")
@count_option("--threads", default=2, help_text="Threads of an operation.")
@count_option("--runs", default=10, help_text="Timed runs.")
@count_option("--lines", default=15, help_text="Lines of each table.")
@click.option("--kernels", is_flag=True, hidden=True, help="Only run the graph, for the log of oneDNN.")
def profile(model: str, shape: Shape, threads: int, runs: int, lines: int, kernels: bool) -> None:
    """Show the time of TensorFlow's operations and of oneDNN's kernels in a run of the graph.

    The graph runs in a Session with the model server's environment. The first table is
    TensorFlow's timeline of one run. The second is oneDNN's verbose log: the kernel of each shape
    and type. Both slow the run down; the times above the tables are without them.
    """
    folder = BenchModel.find(model).folder
    if kernels:
        graph = _Graph(folder, shape, threads)
        for _ in range(KERNEL_RUNS - 2):  # the constructor runs it twice
            graph.run()
        return
    variables = {**recommended_environment(), **os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    os.environ.update(variables)
    graph = _Graph(folder, shape, threads)
    seconds = sorted(graph.timed_run() for _ in range(runs))
    rows, length = shape
    click.echo(f"{folder}, {rows} x {length} tokens, {threads} threads")
    click.echo(f"one run: best {seconds[0] * 1e3:.1f} ms, median {seconds[len(seconds) // 2] * 1e3:.1f} ms")
    _print("TensorFlow's operations", _by_name(graph.operations()), lines)
    # oneDNN reads the variable when it is loaded, and writes to file descriptor 1.
    options = [f"--model={model}", f"--shape={rows}x{length}", f"--threads={threads}", "--kernels"]
    again = [sys.executable, "-m", "undertone_bench", "graph", "profile", *options]
    log = subprocess.run(again, env=variables | {"ONEDNN_VERBOSE": "1"}, capture_output=True, text=True, check=True).stdout
    _print("oneDNN's kernels", _by_name(_kernels(log.splitlines())), lines)


class _Graph:
    """A SavedModel in a Session, with one batch. The constructor runs it twice as a warm-up."""

    def __init__(self, folder: Path, shape: Shape, threads: int) -> None:
        import tensorflow as tf

        self._tf = tf.compat.v1
        config = self._tf.ConfigProto(intra_op_parallelism_threads=threads, inter_op_parallelism_threads=1)
        self._session = self._tf.Session(graph=tf.Graph(), config=config)
        signature = self._tf.saved_model.load(self._session, ["serve"], str(folder)).signature_def["serving_default"]
        ids = np.random.default_rng(0).integers(1, 100, shape).astype(np.int32)
        batch = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        self._feed = {signature.inputs[name].name: array for name, array in batch.items()}
        self._output = signature.outputs["probabilities"].name
        self.run()
        self.run()

    def run(self) -> None:
        self._session.run(self._output, self._feed)

    def timed_run(self) -> float:
        started = time.perf_counter()
        self.run()
        return time.perf_counter() - started

    def operations(self) -> Iterator[tuple[str, float]]:
        """Kind and milliseconds of each operation of one run."""
        metadata = self._tf.RunMetadata()
        options = self._tf.RunOptions(trace_level=self._tf.RunOptions.FULL_TRACE, output_partition_graphs=True)
        self._session.run(self._output, self._feed, options=options, run_metadata=metadata)
        kinds = {node.name: _kind(node) for graph in metadata.partition_graphs for node in graph.node}
        for device in metadata.step_stats.dev_stats:
            if device.device.endswith(_TRACED_DEVICE):
                for node in device.node_stats:
                    yield kinds.get(node.node_name, node.node_name), (node.op_end_rel_micros - node.op_start_rel_micros) / 1e3


def _kind(node: Any) -> str:
    """Operation, fused operations and type: _MklNativeFusedMatMul BiasAdd+GeluExact bfloat16."""
    import tensorflow as tf

    fused = "+".join(name.decode() for name in node.attr["fused_ops"].list.s) if "fused_ops" in node.attr else ""
    dtype = tf.dtypes.as_dtype(node.attr["T"].type).name if "T" in node.attr and node.attr["T"].type else ""
    return " ".join(part for part in (node.op, fused, dtype) if part)


def _kernels(lines: Iterable[str]) -> Iterator[tuple[str, float]]:
    """Name with types and shape, and milliseconds, of each kernel of the log's last run."""
    found = []
    for line in lines:
        fields = line.removeprefix(f"{_LOG_PREFIX},").removeprefix("v1,").split(",")
        if line.startswith(_LOG_PREFIX) and fields[:2] == ["primitive", "exec"]:
            _, _, _, primitive, kernel, _, tensors, *_, shape, milliseconds = fields
            types = " ".join(tensor.split(":")[1] for tensor in tensors.split() if tensor.startswith(("src", "wei", "dst")))
            found.append((f"{primitive} {kernel} {types} {shape}", float(milliseconds)))
    yield from found[-len(found) // KERNEL_RUNS :]


def _by_name(times: Iterable[tuple[str, float]]) -> dict[str, list[float]]:
    found = defaultdict(list)
    for name, milliseconds in times:
        found[name].append(milliseconds)
    return found


def _print(title: str, times: Mapping[str, list[float]], lines: int) -> None:
    total = sum(map(sum, times.values()))
    click.echo(f"\n{title}: {total:.1f} ms\n   ms  share  count")
    for name, found in sorted(times.items(), key=lambda item: -sum(item[1]))[:lines]:
        click.echo(f"{sum(found):6.1f} {sum(found) / total:5.1%} {len(found):6d}  {name}")
