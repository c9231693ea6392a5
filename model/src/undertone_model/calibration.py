"""Calibration of probabilities: a temperature, and a bias for neutral.

Nearly half of all comments are neutral, but few paragraphs of a story. The model cannot know which
kind of text it will score, so the kind is an option of the export ("prior"). For each kind, the
temperature (Guo et al., 2017) and the bias of neutral are fitted together by maximum likelihood on
the dev split.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from undertone_model.emotions import EMOTIONS


@dataclass(frozen=True, slots=True)
class Calibration:
    """Probabilities are softmax((logits + bias) / temperature)."""

    temperature: float
    neutral_bias: float

    def bias(self) -> NDArray[np.float64]:
        """The bias of each emotion: `neutral_bias` for neutral, 0 for the others."""
        return np.where(np.array(EMOTIONS) == "neutral", self.neutral_bias, 0.0)

    def probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """Probabilities [rows, labels] of logits with the same shape."""
        biased = logits.astype(np.float64) + self.bias()
        return np.asarray(softmax(biased / self.temperature, axis=1))


UNCALIBRATED: Final = Calibration(temperature=1.0, neutral_bias=0.0)


def fit_calibration(
    logits: NDArray[np.float32], labels: NDArray[np.int64], weights: NDArray[np.float64] | None = None
) -> Calibration:
    """The calibration with the maximum likelihood of `labels`, whose rows have `weights` (default:
    equal weights).
    """

    def loss(parameters: NDArray[np.float64]) -> float:
        biased = logits + Calibration(1.0, parameters[1]).bias()
        likelihoods = log_softmax(biased / np.exp(parameters[0]), axis=1)[np.arange(len(labels)), labels]
        return -float(np.average(likelihoods, weights=weights))

    best = minimize(loss, x0=np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-7}).x
    return Calibration(temperature=round(float(np.exp(best[0])), 4), neutral_bias=round(float(best[1]), 4))
