"""Expected calibration error and the scores of an evaluation."""

import numpy as np
import pytest
from scipy.special import softmax
from undertone_model.emotions import EMOTIONS
from undertone_model.metrics import evaluate, expected_calibration_error


def test_true_probabilities_have_a_small_error() -> None:
    random = np.random.default_rng(2)
    probabilities = softmax(random.normal(0, 2, (50_000, 9)), axis=1)
    labels = (probabilities.cumsum(axis=1) > random.random((50_000, 1))).argmax(axis=1)
    assert expected_calibration_error(probabilities, labels) < 0.01


def test_error_of_full_confidence_is_the_error_rate() -> None:
    probabilities = np.eye(9)[[0, 0, 0, 0]]
    assert expected_calibration_error(probabilities, np.array([0, 0, 0, 1])) == pytest.approx(0.25)


def test_scores_for_the_contract() -> None:
    probabilities = np.eye(9)[[0, 0, 1, 8]]
    evaluation = evaluate("stories/test@none", probabilities, np.array([0, 1, 1, 8]))
    scores = {score.metric: score.value for score in evaluation.scores()}
    assert {score.data for score in evaluation.scores()} == {"stories/test@none"}
    assert scores["rows"] == 4
    assert scores["accuracy"] == 0.75
    assert scores["f1_joy"] == scores["f1_sadness"] == pytest.approx(2 / 3, abs=1e-4)
    assert scores["f1_anger"] == 0
    assert scores["macro_f1"] == pytest.approx((2 / 3 + 2 / 3 + 1) / 3, abs=1e-4)
    assert set(scores) == {
        "rows",
        "accuracy",
        "macro_f1",
        "expected_calibration_error",
        *(f"f1_{emotion}" for emotion in EMOTIONS),
    }
