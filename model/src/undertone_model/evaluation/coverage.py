"""Coverage against accuracy: what a user keeps, and how good it is, at a minimum confidence."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

CONFIDENCES: Final = (0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True, slots=True)
class Coverage:
    """Rows whose largest probability is at least `confidence`.

    `coverage` is their share of all rows. `accuracy` is None if there are none.
    """

    confidence: float
    coverage: float
    accuracy: float | None


def coverages(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> tuple[Coverage, ...]:
    """Coverage and accuracy at each of CONFIDENCES."""
    largest = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    rows = []
    for confidence in CONFIDENCES:
        kept = largest >= confidence
        rows.append(Coverage(confidence, float(kept.mean()), float(correct[kept].mean()) if kept.any() else None))
    return tuple(rows)


def area_under_risk_coverage(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Mean error rate over all coverages (Geifman and El-Yaniv, 2017). Lower is better.

    Rows are kept in the order of their confidence, the most confident first.
    """
    wrong = probabilities.argmax(axis=1) != labels
    order = np.argsort(-probabilities.max(axis=1), kind="stable")
    return float((np.cumsum(wrong[order]) / np.arange(1, len(labels) + 1)).mean())
