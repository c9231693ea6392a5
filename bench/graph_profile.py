"""Where the time of an exported graph goes: by TensorFlow's operations, and by oneDNN's kernels.

    .venv/bin/python bench/graph_profile.py build/models/emotions/1 --shape 8x128

Runs the graph through a Session, as TF Serving does, with the environment that a model server is started with. The first table
is TensorFlow's own timeline of whole runs (RunMetadata): what is not fused stands there under its own name. The second is
oneDNN's verbose log: which kernel was chosen for which shape and type, such as brg_matmul:avx512_core_amx. Profiling costs
time itself; the seconds for a run above the tables are without it.
"""

import argparse
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from undertone_dev_server.settings import recommended_environment

VERBOSE = "onednn_verbose"
#: TensorFlow's name for times and names of operations in a step.
TRACED = "/device:CPU:0"


def main() -> None:
    given = _parser().parse_args()
    if given.kernels:
        _Run(given).once()
        return
    variables = {**recommended_environment(), **os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    os.environ.update(variables)
    run = _Run(given)
    seconds = sorted(run.seconds() for _ in range(given.runs))
    rows, length = given.shape
    print(f"{given.folder}, {rows} x {length} tokens, {given.threads} threads")
    print(f"a run: best {seconds[0] * 1e3:.1f} ms, median {seconds[len(seconds) // 2] * 1e3:.1f} ms")
    _print("TensorFlow's operations", _by_name(run.operations()), given.lines)
    # oneDNN reads the variable when it is loaded, and writes to the file descriptor.
    again = [sys.executable, __file__, *sys.argv[1:], "--kernels"]
    log = subprocess.run(again, env=variables | {"ONEDNN_VERBOSE": "1"}, capture_output=True, text=True, check=True).stdout
    _print("oneDNN's kernels", _by_name(_kernels(log.splitlines())), given.lines)


class _Run:
    """A SavedModel in a Session, and one batch to feed it with."""

    def __init__(self, given: argparse.Namespace) -> None:
        import tensorflow as tf

        self._tf = tf.compat.v1
        config = self._tf.ConfigProto(intra_op_parallelism_threads=given.threads, inter_op_parallelism_threads=1)
        self._session = self._tf.Session(graph=tf.Graph(), config=config)
        signature = self._tf.saved_model.load(self._session, ["serve"], str(given.folder)).signature_def["serving_default"]
        ids = np.random.default_rng(0).integers(1, 100, given.shape).astype(np.int32)
        self._feed = {signature.inputs[name].name: array for name, array in _batch(ids).items()}
        self._output = signature.outputs["probabilities"].name
        self.once()
        self.once()

    def once(self) -> None:
        self._session.run(self._output, self._feed)

    def seconds(self) -> float:
        started = time.perf_counter()
        self.once()
        return time.perf_counter() - started

    def operations(self) -> Iterator[tuple[str, float]]:
        """Each operation of one run: its kind, and its milliseconds."""
        metadata = self._tf.RunMetadata()
        options = self._tf.RunOptions(trace_level=self._tf.RunOptions.FULL_TRACE, output_partition_graphs=True)
        self._session.run(self._output, self._feed, options=options, run_metadata=metadata)
        kinds = {node.name: _kind(node) for graph in metadata.partition_graphs for node in graph.node}
        for device in metadata.step_stats.dev_stats:
            if device.device.endswith(TRACED):
                for node in device.node_stats:
                    yield kinds.get(node.node_name, node.node_name), (node.op_end_rel_micros - node.op_start_rel_micros) / 1e3


def _batch(ids: np.ndarray) -> Mapping[str, np.ndarray]:
    return {"input_ids": ids, "attention_mask": np.ones_like(ids)}


def _kind(node: object) -> str:
    """Operation with what is fused into it, and its type: _MklNativeFusedMatMul BiasAdd+GeluExact bfloat16."""
    import tensorflow as tf

    fused = "+".join(name.decode() for name in node.attr["fused_ops"].list.s) if "fused_ops" in node.attr else ""  # type: ignore[attr-defined]
    dtype = tf.dtypes.as_dtype(node.attr["T"].type).name if "T" in node.attr and node.attr["T"].type else ""  # type: ignore[attr-defined]
    return " ".join(part for part in (node.op, fused, dtype) if part)  # type: ignore[attr-defined]


def _kernels(lines: Iterable[str]) -> Iterator[tuple[str, float]]:
    """Each kernel of the log's last third, which is one run of three: its name, types and shape, and its milliseconds."""
    found = []
    for line in lines:
        fields = line.removeprefix(f"{VERBOSE},").removeprefix("v1,").split(",")
        if line.startswith(VERBOSE) and fields[:2] == ["primitive", "exec"]:
            _, _, _, primitive, kernel, _, tensors, *_, shape, milliseconds = fields
            types = " ".join(tensor.split(":")[1] for tensor in tensors.split() if tensor.startswith(("src", "wei", "dst")))
            found.append((f"{primitive} {kernel} {types} {shape}", float(milliseconds)))
    yield from found[-len(found) // 3 :]


def _by_name(times: Iterable[tuple[str, float]]) -> dict[str, list[float]]:
    found = defaultdict(list)
    for name, milliseconds in times:
        found[name].append(milliseconds)
    return found


def _print(title: str, times: Mapping[str, list[float]], lines: int) -> None:
    total = sum(map(sum, times.values()))
    print(f"\n{title}: {total:.1f} ms\n   ms  share  count")
    for name, found in sorted(times.items(), key=lambda item: -sum(item[1]))[:lines]:
        print(f"{sum(found):6.1f} {sum(found) / total:5.1%} {len(found):6d}  {name}")


def batch_shape(value: str) -> tuple[int, int]:
    """Of a command line. Raises ArgumentTypeError."""
    rows, _, length = value.partition("x")
    if not (rows.isdecimal() and length.isdecimal() and int(rows) and int(length)):
        raise argparse.ArgumentTypeError(f"{value!r} is no shape; give rows x tokens, such as 8x128")
    return int(rows), int(length)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a version's folder, which holds saved_model.pb")
    parser.add_argument("--shape", type=batch_shape, default=(8, 128), metavar="ROWSxTOKENS", help="default: 8x128")
    parser.add_argument("--threads", type=int, default=2, help="inside operations (default: 2)")
    parser.add_argument("--runs", type=int, default=10, help="timed runs (default: 10)")
    parser.add_argument("--lines", type=int, default=15, help="of each table (default: 15)")
    parser.add_argument("--kernels", action="store_true", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    main()
