"""Temperature and prior: found again where they are known; and the error that they are to make small."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import softmax
from undertone_model.adapters import Calibration
from undertone_model.calibration import bias_vector, calibrate, expected_calibration_error, fit
from undertone_model.emotions import EMOTIONS
from undertone_model.evaluation import evaluate


def drawn(probabilities: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.int64]:
    """A label for each row, drawn from its distribution."""
    drawn_labels: NDArray[np.int64] = (probabilities.cumsum(axis=1) > random.random((len(probabilities), 1))).argmax(axis=1)
    return drawn_labels


@pytest.mark.parametrize("known", [Calibration(1.0, 0.0), Calibration(1.8, 0.0), Calibration(0.6, -1.2), Calibration(2.5, 0.9)])
def test_a_known_calibration_is_found_again(known: Calibration) -> None:
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, (20_000, len(EMOTIONS))).astype(np.float32)
    found = fit(logits, drawn(calibrate(logits, known), random))
    assert found.temperature == pytest.approx(known.temperature, rel=0.05)
    assert found.neutral_bias == pytest.approx(known.neutral_bias, abs=0.15)


def test_the_bias_is_of_neutral_alone() -> None:
    assert bias_vector(Calibration(1.0, -0.5)).tolist() == [0, 0, 0, 0, 0, 0, 0, 0, -0.5]


def test_calibrated_logits_are_distributions_even_when_extreme() -> None:
    logits = np.array([[1e4, -1e4, 0, 0, 0, 0, 0, 0, 1e4], [0] * 9, [-1e4] * 9], np.float32)
    found = calibrate(logits, Calibration(0.7, 2.0))
    assert np.all(np.isfinite(found))
    assert found.sum(axis=1) == pytest.approx(np.ones(3))


def test_a_higher_temperature_is_less_sure_of_the_same_answer() -> None:
    logits = np.random.default_rng(1).normal(0, 2, (100, 9)).astype(np.float32)
    sure, unsure = calibrate(logits, Calibration(1.0, 0.0)), calibrate(logits, Calibration(2.0, 0.0))
    assert (sure.argmax(axis=1) == unsure.argmax(axis=1)).all()
    assert (sure.max(axis=1) > unsure.max(axis=1)).all()


def test_probabilities_that_come_true_have_next_to_no_error() -> None:
    random = np.random.default_rng(2)
    probabilities = softmax(random.normal(0, 2, (50_000, 9)), axis=1)
    assert expected_calibration_error(probabilities, drawn(probabilities, random)) < 0.01


def test_overconfidence_has_a_large_error_and_fitting_removes_it() -> None:
    random = np.random.default_rng(3)
    logits = random.normal(0, 1.5, (50_000, 9)).astype(np.float32)
    labels = drawn(softmax(logits, axis=1), random)
    overconfident = 4 * logits
    assert expected_calibration_error(calibrate(overconfident, Calibration(1.0, 0.0)), labels) > 0.2
    assert expected_calibration_error(calibrate(overconfident, fit(overconfident, labels)), labels) < 0.01


def test_the_error_of_certainty_is_the_share_of_mistakes() -> None:
    probabilities = np.eye(9)[[0, 0, 0, 0]]
    assert expected_calibration_error(probabilities, np.array([0, 0, 0, 1])) == pytest.approx(0.25)


def test_an_evaluation_counts_as_the_contract_will_say() -> None:
    probabilities = np.eye(9)[[0, 0, 1, 8]]
    found = evaluate("stories/test@none", probabilities, np.array([0, 1, 1, 8]))
    scores = {score.metric: score.value for score in found.scores()}
    assert {score.data for score in found.scores()} == {"stories/test@none"}
    assert scores["rows"] == 4
    assert scores["accuracy"] == 0.75
    assert scores["f1_joy"] == scores["f1_sadness"] == pytest.approx(2 / 3, abs=1e-4)
    assert scores["f1_anger"] == 0
    assert scores["macro_f1"] == pytest.approx((2 / 3 + 2 / 3 + 1) / 9, abs=1e-4)
    assert set(scores) == {
        "rows",
        "accuracy",
        "macro_f1",
        "expected_calibration_error",
        *(f"f1_{emotion}" for emotion in EMOTIONS),
    }
