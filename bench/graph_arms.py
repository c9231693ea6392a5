"""How long the exported graph takes, beside the same model as it is commonly written, and beside OpenVINO.

    .venv/bin/python -m bench.graph_arms
    .venv/bin/python -m bench.graph_arms --random minilm --shape 4x32 --rounds 2

Each arm is a process of its own, with its own environment, that computes through a Session as TF Serving does, or with OpenVINO
where the package `openvino` can be imported. All compute the same random weights on all CPUs, one after the other, round after
round, the order of a round the reverse of the one before. Prints a table: milliseconds of a run, and how many times faster than
the conventional SavedModel in fp32 an arm was, best against best of a round: the median of the rounds, the least and the most.
Takes five minutes and, for BERT-base, 12 GB of memory, on a machine that does nothing else.
"""

import argparse
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

import numpy as np
from undertone_bench.machine import Environment
from undertone_bench.served import Batch
from undertone_bench.spread import Spread
from undertone_bench.worker import Worker, has_openvino
from undertone_dev_server.settings import ENVIRONMENT_FILE, recommended_environment

from bench.graph_profile import batch_shape

PACKED: Final = {"TF_ONEDNN_ASSUME_FROZEN_WEIGHTS": "1"}
#: Runs at a new shape before it is timed: the graph is optimized in the first, memory found in the second.
WARMING: Final = 2

Shape = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Arm:
    """A graph that `graph_models` writes, what computes it, and the environment's variables for that."""

    name: str
    graph: str
    variables: Mapping[str, str] = field(default_factory=dict)
    engine: str = "session"


def arms(*, has_bf16: bool, openvino: bool) -> Iterator[Arm]:
    """Those that this machine can run; the first is the one that others are compared with."""
    yield Arm("conventional SavedModel, fp32", "conventional")
    yield Arm(f"the same, with {ENVIRONMENT_FILE}", "conventional", recommended_environment())
    yield Arm("exported graph, fp32", "fp32")
    yield Arm("the same, with " + "".join(f"{name}={value}" for name, value in PACKED.items()), "fp32", PACKED)
    yield Arm(f"the same, with {ENVIRONMENT_FILE}", "fp32", recommended_environment())
    yield Arm(f"exported graph in int8, which fails the gate, with {ENVIRONMENT_FILE}", "int8", recommended_environment())
    if has_bf16:
        yield Arm("exported graph, bf16", "bf16")
        yield Arm(f"the same, with {ENVIRONMENT_FILE}", "bf16", recommended_environment())
    if openvino:
        precision = "bf16" if has_bf16 else "fp32"  # its own choice on such a CPU
        yield Arm(f"OpenVINO on the conventional SavedModel, {precision}", "conventional", engine="openvino")


def main() -> None:
    given = _parser().parse_args()
    machine = Environment.read()
    chosen = list(arms(has_bf16=machine.has_bf16, openvino=has_openvino()))
    with tempfile.TemporaryDirectory(prefix="undertone-") as folder:
        graphs = sorted({arm.graph for arm in chosen})
        # In a process of its own: TensorFlow's threads would be in the way here.
        command = [sys.executable, "-m", "bench.graph_models", folder, *graphs, "--random", given.random]
        subprocess.run(command, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"}, check=True)
        found = times(chosen, Path(folder), given.shape or [(8, 128), (16, 64)], given.rounds, given.runs)
    print(f"{given.random}, random weights; rounds: {given.rounds}, runs in each: {given.runs}. {machine}\n")
    print(*table(chosen, found), sep="\n")
    if not machine.has_bf16:
        print("\nbf16 was left out: this CPU has neither AMX nor AVX512-BF16, and would compute it slower than fp32.")
    if not has_openvino():
        print("\nOpenVINO was left out: the package `openvino` cannot be imported.")


def times(
    chosen: Sequence[Arm], folder: Path, shapes: Sequence[Shape], rounds: int, runs: int
) -> Mapping[tuple[int, Shape], list[list[float]]]:
    """Seconds of each run, in a list for each round, by an arm's place and shape."""
    found = defaultdict(list)
    plain = {name: value for name, value in os.environ.items() if name not in recommended_environment()}
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(Worker(folder / arm.graph, {**plain, **arm.variables})) for arm in chosen]
        batches = {shape: Batch.of(list(np.random.default_rng(0).integers(1, 100, shape, np.int32))) for shape in shapes}
        for place, arm in enumerate(chosen):
            for batch in batches.values():
                workers[place].compute(arm.engine, [batch] * WARMING)
        for number in range(rounds):
            places = range(len(chosen)) if number % 2 == 0 else reversed(range(len(chosen)))
            for place in places:
                for shape, batch in batches.items():
                    engine = chosen[place].engine
                    # What another arm's run has driven from the caches is not to be paid for here.
                    workers[place].compute(engine, [batch])
                    found[place, shape].append([workers[place].compute(engine, [batch]).seconds for _ in range(runs)])
            print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
    return found


def table(chosen: Sequence[Arm], found: Mapping[tuple[int, Shape], Sequence[Sequence[float]]]) -> Iterator[str]:
    """Lines of Markdown."""
    shapes = [shape for place, shape in found if place == 0]
    header = ["arm", *(cell for rows, length in shapes for cell in (f"{rows} × {length} tokens: best, median ms", "times"))]
    yield _line(header)
    yield _line(["---"] * len(header))
    for place, arm in enumerate(chosen):
        cells = [arm.name]
        for shape in shapes:
            seconds = [one for each in found[place, shape] for one in each]
            first, this = ([min(each) for each in found[one, shape]] for one in (0, place))
            cells += [f"{min(seconds) * 1e3:.0f}, {median(seconds) * 1e3:.0f}", f"{Spread.of_ratios(first, this):.2f}"]
        yield _line(cells)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--random", default="bert-base", metavar="SIZE", help="minilm, bert-base (the default) or bert-large")
    parser.add_argument("--shape", type=batch_shape, action="append", metavar="ROWSxTOKENS", help="default: 8x128 and 16x64")
    parser.add_argument("--rounds", type=int, default=3, help="(default: 3)")
    parser.add_argument("--runs", type=int, default=3, help="timed in a round, of each arm and shape (default: 3)")
    return parser


if __name__ == "__main__":
    main()
