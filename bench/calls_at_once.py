"""One call after the other with all cores, against a call on each core, of the same graph in a Session.

    .venv/bin/python -m bench.calls_at_once build/models/emotions/1

Both run in processes of their own, in turn: `together` with TensorFlow's own choice of threads, which is all cores inside each
operation, and `each` with the threads and the calls at once that `undertone-sidecar plan` says. The figures are of throughput;
a single call takes longer with one thread than with all.
"""

import argparse
from pathlib import Path
from statistics import median

import numpy as np
from undertone_bench.served import Batch
from undertone_bench.worker import Worker

SHAPES = ((1, 16), (1, 96), (1, 512), (4, 128), (16, 128), (32, 64))
ENGINES = {"together": "session", "each": "pod"}


def main() -> None:
    given = _parser().parse_args()
    found: dict[tuple[str, tuple[int, int]], list[float]] = {}
    with Worker(given.folder) as together, Worker(given.folder) as each:
        workers = {"together": together, "each": each}
        for number in range(given.rounds + 1):
            for shape in SHAPES:
                tokens = shape[0] * shape[1]
                batches = [Batch.of([np.ones(shape[1], np.int32)] * shape[0])] * max(4, given.tokens // tokens)
                for name, engine in ENGINES.items():
                    seconds = workers[name].compute(engine, batches).seconds
                    if number:  # the first calls of a shape are slow
                        found.setdefault((name, shape), []).append(seconds / tokens / len(batches) * 1e3)
    print(f"{given.folder}: ms a token, median of {given.rounds} rounds (least to most), and the ratio of the medians")
    print(f"{'shape':<8}{'together':>24}{'each':>24}{'each / together':>17}")
    for shape in SHAPES:
        values = [found[name, shape] for name in ENGINES]
        cells = [f"{median(value):.3f} ({min(value):.3f} to {max(value):.3f})" for value in values]
        ratio = median(values[1]) / median(values[0])
        print(f"{shape[0]}x{shape[1]:<6}{cells[0]:>24}{cells[1]:>24}{ratio:>17.2f}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a version's folder, which holds saved_model.pb")
    parser.add_argument("--rounds", type=int, default=5, help="that are counted (default: 5)")
    parser.add_argument("--tokens", type=int, default=8192, help="of each shape in a round, about (default: 8192)")
    return parser


if __name__ == "__main__":
    main()
