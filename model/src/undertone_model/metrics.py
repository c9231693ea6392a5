"""Quality of the model on a data set."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score

from undertone_model.adapters import Score
from undertone_model.emotions import EMOTIONS


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Quality on one data set. `f1` has one value for each emotion, in the order of EMOTIONS.

    `macro_f1` is the mean over the emotions that occur in the labels: some corpora have no love.
    """

    data: str
    rows: int
    accuracy: float
    macro_f1: float
    expected_calibration_error: float
    f1: tuple[float, ...]

    def scores(self) -> tuple[Score, ...]:
        """The scores in the model contract."""
        return (
            Score(self.data, "rows", self.rows),
            Score(self.data, "accuracy", round(self.accuracy, 4)),
            Score(self.data, "macro_f1", round(self.macro_f1, 4)),
            Score(self.data, "expected_calibration_error", round(self.expected_calibration_error, 4)),
            *(Score(self.data, f"f1_{name}", round(value, 4)) for name, value in zip(EMOTIONS, self.f1, strict=True)),
        )


def evaluate(data: str, probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> Evaluation:
    """Compares probabilities [rows, labels] with the true labels [rows]."""
    predicted = probabilities.argmax(axis=1)
    every = np.arange(len(EMOTIONS))
    return Evaluation(
        data=data,
        rows=len(labels),
        accuracy=float(accuracy_score(labels, predicted)),
        macro_f1=float(f1_score(labels, predicted, labels=np.unique(labels), average="macro", zero_division=0)),
        expected_calibration_error=expected_calibration_error(probabilities, labels),
        f1=tuple(float(value) for value in f1_score(labels, predicted, labels=every, average=None, zero_division=0)),
    )


def expected_calibration_error(probabilities: NDArray[np.float64], labels: NDArray[np.int64], bins: int = 15) -> float:
    """Mean difference of confidence and accuracy in `bins` intervals, weighted by rows."""
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [
        abs(float(correct[bin_of == index].mean() - confidence[bin_of == index].mean())) * float((bin_of == index).mean())
        for index in range(bins)
        if (bin_of == index).any()
    ]
    return sum(gaps)
