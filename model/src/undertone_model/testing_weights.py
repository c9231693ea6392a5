"""Random weights of tests. model/make_goldens.py needs the same, and has only NumPy."""

from collections.abc import Mapping, Sequence

import numpy as np

from undertone_model.arrays import NamedArrays


def random_tensors(shapes: Mapping[str, Sequence[int]], seed: int = 0) -> NamedArrays:
    """Random tensors by name. Scales of norms (`….weight` with one dimension) have the mean 1, all
    other numbers the mean 0.

    A tensor depends on the order of `shapes`.
    """
    random = np.random.default_rng(seed)
    return {
        name: (random.normal(0, 0.3, tuple(shape)) + (name.endswith(".weight") and len(shape) == 1)).astype(np.float32)
        for name, shape in shapes.items()
    }
