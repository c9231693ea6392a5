"""Making probabilities mean what they say: a temperature, and the prior of neutral.

Comments are neutral nearly half of the time, paragraphs of a story seldom; a model cannot know which it will be asked about. So
the prior is an option of the export: for each kind of text, temperature (Guo et al., 2017) and a bias on neutral are fitted
together, by the likelihood of that kind's dev split.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from undertone_model.adapters import Calibration
from undertone_model.emotions import EMOTIONS


def bias_vector(calibration: Calibration) -> NDArray[np.float64]:
    """`neutral_bias` at the place of neutral, 0 elsewhere."""
    return np.where(np.array(EMOTIONS) == "neutral", calibration.neutral_bias, 0.0)


def calibrate(logits: NDArray[np.float32], calibration: Calibration) -> NDArray[np.float64]:
    """Probabilities [rows, labels] of logits of the same shape."""
    shifted = logits.astype(np.float64) + bias_vector(calibration)
    return np.asarray(softmax(shifted / calibration.temperature, axis=1))


def fit(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> Calibration:
    """The calibration under which `labels` are likeliest."""

    def loss(parameters: NDArray[np.float64]) -> float:
        shifted = logits + bias_vector(Calibration(1.0, parameters[1]))
        return -float(np.mean(log_softmax(shifted / np.exp(parameters[0]), axis=1)[np.arange(len(labels)), labels]))

    best = minimize(loss, x0=np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-7}).x
    return Calibration(temperature=round(float(np.exp(best[0])), 4), neutral_bias=round(float(best[1]), 4))


def expected_calibration_error(probabilities: NDArray[np.float64], labels: NDArray[np.int64], bins: int = 15) -> float:
    """Mean distance between confidence and accuracy over `bins` equal intervals of confidence, weighted by their rows."""
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [
        abs(float(correct[bin_of == index].mean() - confidence[bin_of == index].mean())) * float((bin_of == index).mean())
        for index in range(bins)
        if (bin_of == index).any()
    ]
    return sum(gaps)
