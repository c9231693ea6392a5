"""A search for the best of many settings by few noisy measurements.

A Bayesian linear regression (scikit-learn) of the logarithm of the result, on the features and
their products, predicts all settings. The setting with the largest expected improvement is measured
next (Jones, Schonlau and Welch 1998). Settings of a pod mostly act as factors, whose logarithms add
up, so a linear model learns them from few measurements.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.stats import norm
from sklearn.linear_model import BayesianRidge
from sklearn.preprocessing import MinMaxScaler, PolynomialFeatures

INITIAL_TRIALS: Final = 6
"""Measurements before the first prediction: the first setting, and those farthest from it."""

_FAILED_SHARE: Final = 0.5
"""A setting that failed counts as this share of the worst result."""


class Search:
    """Chooses the settings to measure: `propose`, measure, `record`, and again."""

    def __init__(self, features: Sequence[Sequence[float]]) -> None:
        """`features` has a row for each setting. The first is the one to begin with."""
        scaled = MinMaxScaler().fit_transform(np.asarray(features, np.float64))
        self._scaled: npt.NDArray[np.float64] = scaled
        self._products = PolynomialFeatures(2, include_bias=False).fit_transform(scaled)
        self._results: dict[int, float] = {}

    def propose(self) -> int | None:
        """The index of the setting to measure next. None if all are measured."""
        left = [index for index in range(len(self._scaled)) if index not in self._results]
        if not left:
            return None
        tried = list(self._results)
        if not tried:
            return 0
        if len(tried) < INITIAL_TRIALS:
            distances = np.abs(self._scaled[left, None] - self._scaled[None, tried]).sum(axis=2).min(axis=1)
            return left[int(distances.argmax())]
        known = self._logarithms()
        means, deviations = BayesianRidge().fit(self._products[tried], known).predict(self._products[left], return_std=True)
        gain = means - known.max()
        ratio = gain / np.maximum(deviations, 1e-12)
        improvement = gain * norm.cdf(ratio) + deviations * norm.pdf(ratio)
        return left[int(improvement.argmax())]

    def record(self, index: int, result: float) -> None:
        """Record a measurement, such as a rate. 0 means that the setting failed."""
        self._results[index] = result

    def _logarithms(self) -> npt.NDArray[np.float64]:
        results = np.array(list(self._results.values()))
        worst = min(results[results > 0], default=1.0)
        return np.log(np.where(results > 0, results, worst * _FAILED_SHARE))
