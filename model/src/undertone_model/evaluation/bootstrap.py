"""Bootstrap intervals of macro-F1, of shares, and of paired differences (Efron, 1979).

A resample draws as many rows as there are, with replacement. An interval has the percentiles 2.5
and 97.5 of a value over 1,000 resamples. The difference of two models is measured on the same
resamples, so that rows which are hard for both do not widen its interval.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

RESAMPLES: Final = 1_000
SEED: Final = 20_211

Counts = NDArray[np.float32]
"""How often each row occurs in each resample, [resamples, rows]."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float


def resample(rows: int, resamples: int = RESAMPLES, seed: int = SEED) -> Counts:
    """Counts of `rows` rows in `resamples` resamples. The same arguments give the same counts."""
    random = np.random.default_rng(seed)
    counts = np.empty((resamples, rows), np.float32)
    for index in range(resamples):
        counts[index] = np.bincount(random.integers(rows, size=rows), minlength=rows)
    return counts


def macro_f1(
    labels: NDArray[np.int64], predicted: NDArray[np.int64], classes: Sequence[int], counts: Counts
) -> NDArray[np.float32]:
    """Macro-F1 over `classes` in each resample. The F1 of a class without rows is 0."""
    of_class = np.array(classes)
    is_label = labels[:, None] == of_class
    is_predicted = predicted[:, None] == of_class
    hits = counts @ (is_label & is_predicted).astype(np.float32)
    total = counts @ is_label.astype(np.float32) + counts @ is_predicted.astype(np.float32)
    f1 = np.divide(2 * hits, total, out=np.zeros_like(hits), where=total > 0)
    return np.asarray(f1.mean(axis=1))


def estimate_macro_f1(
    labels: NDArray[np.int64], predicted: NDArray[np.int64], classes: Sequence[int], counts: Counts
) -> Estimate:
    """Macro-F1 of all rows, with its interval."""
    return _estimate(
        float(macro_f1(labels, predicted, classes, np.ones((1, len(labels)), np.float32))[0]),
        macro_f1(labels, predicted, classes, counts),
    )


def estimate_difference(
    labels: NDArray[np.int64],
    predicted: NDArray[np.int64],
    reference: NDArray[np.int64],
    classes: Sequence[int],
    counts: Counts,
) -> Estimate:
    """Macro-F1 of `predicted` minus that of `reference`, paired by resample."""
    every = np.ones((1, len(labels)), np.float32)
    difference, value = (
        macro_f1(labels, predicted, classes, weights) - macro_f1(labels, reference, classes, weights)
        for weights in (counts, every)
    )
    return _estimate(float(value[0]), difference)


def estimate_share(hits: NDArray[np.bool_], counts: Counts) -> Estimate:
    """The share of rows that are true, with its interval."""
    return _estimate(float(hits.mean()), np.asarray(counts @ hits.astype(np.float32) / np.float32(len(hits))))


def _estimate(value: float, values: NDArray[np.float32]) -> Estimate:
    low, high = np.percentile(values, (2.5, 97.5))
    return Estimate(value, float(low), float(high))
