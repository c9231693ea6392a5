"""Temperature and bias of neutral: fitting and application."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import softmax
from undertone_model.calibration import Calibration, fit_calibration
from undertone_model.emotions import EMOTIONS
from undertone_model.metrics import expected_calibration_error


def sample_labels(probabilities: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.int64]:
    """A random label for each row, sampled from its distribution."""
    labels: NDArray[np.int64] = (probabilities.cumsum(axis=1) > random.random((len(probabilities), 1))).argmax(axis=1)
    return labels


@pytest.mark.parametrize("known", [Calibration(1.0, 0.0), Calibration(1.8, 0.0), Calibration(0.6, -1.2), Calibration(2.5, 0.9)])
def test_fit_recovers_a_known_calibration(known: Calibration) -> None:
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, (20_000, len(EMOTIONS))).astype(np.float32)
    fitted = fit_calibration(logits, sample_labels(known.probabilities(logits), random))
    assert fitted.temperature == pytest.approx(known.temperature, rel=0.05)
    assert fitted.neutral_bias == pytest.approx(known.neutral_bias, abs=0.15)


def test_only_neutral_has_a_bias() -> None:
    assert Calibration(1.0, -0.5).bias().tolist() == [0, 0, 0, 0, 0, 0, 0, 0, -0.5]


def test_extreme_logits_give_distributions() -> None:
    logits = np.array([[1e4, -1e4, 0, 0, 0, 0, 0, 0, 1e4], [0] * 9, [-1e4] * 9], np.float32)
    probabilities = Calibration(0.7, 2.0).probabilities(logits)
    assert np.all(np.isfinite(probabilities))
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(3))


def test_higher_temperature_reduces_the_confidence_only() -> None:
    logits = np.random.default_rng(1).normal(0, 2, (100, 9)).astype(np.float32)
    low, high = (Calibration(temperature, 0.0).probabilities(logits) for temperature in (1.0, 2.0))
    assert (low.argmax(axis=1) == high.argmax(axis=1)).all()
    assert (low.max(axis=1) > high.max(axis=1)).all()


def test_fit_removes_the_error_of_overconfidence() -> None:
    random = np.random.default_rng(3)
    logits = random.normal(0, 1.5, (50_000, 9)).astype(np.float32)
    labels = sample_labels(softmax(logits, axis=1), random)
    overconfident = 4 * logits
    uncalibrated, fitted = Calibration(1.0, 0.0), fit_calibration(overconfident, labels)
    assert expected_calibration_error(uncalibrated.probabilities(overconfident), labels) > 0.2
    assert expected_calibration_error(fitted.probabilities(overconfident), labels) < 0.01


def test_rows_count_as_often_as_their_weights() -> None:
    random = np.random.default_rng(4)
    logits = random.normal(0, 2, (300, 9)).astype(np.float32)
    labels = sample_labels(Calibration(1.4, 0.6).probabilities(logits), random)
    repeated = np.concatenate([np.arange(300), np.arange(100), np.arange(100)])
    weights = np.where(np.arange(300) < 100, 3.0, 1.0)
    fitted, expected = fit_calibration(logits, labels, weights), fit_calibration(logits[repeated], labels[repeated])
    assert fitted.temperature == pytest.approx(expected.temperature, abs=2e-3)
    assert fitted.neutral_bias == pytest.approx(expected.neutral_bias, abs=2e-3)
