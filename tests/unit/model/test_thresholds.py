"""Thresholds of a multi-label model: read from options, and fitted to labelled texts."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score
from undertone_model.errors import DataError, ExportError
from undertone_model.thresholds import Fit, fit_threshold, is_threshold, read_labelled_texts, read_thresholds

LABELS = ("joy", "fear", "anger")


def test_thresholds_of_the_file_replace_the_default(tmp_path: Path) -> None:
    path = tmp_path / "thresholds.json"
    path.write_text(json.dumps({"anger": 0.7, "joy": 0.2}))
    assert read_thresholds(None, None, LABELS) == (0.5, 0.5, 0.5)
    assert read_thresholds(None, 0.4, LABELS) == (0.4, 0.4, 0.4)
    assert read_thresholds(path, None, LABELS) == (0.2, 0.5, 0.7)
    assert read_thresholds(path, 0.4, LABELS) == (0.2, 0.4, 0.7)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"sadness": 0.4}', "the model has no label 'sadness'; its labels are joy, fear, anger"),
        ('{"joy": 0}', "the threshold of 'joy' is 0; use a number between 0 and 1"),
        ('{"joy": 1.0}', "the threshold of 'joy' is 1.0;"),
        ('{"joy": true}', "the threshold of 'joy' is True;"),
        ('{"joy": NaN}', "the threshold of 'joy' is nan;"),
        ('{"joy": "0.4"}', "the threshold of 'joy' is '0.4';"),
        ("[0.4]", 'expected an object such as {"joy": 0.3}, found list'),
        ("{", "cannot read"),
        (None, "does not exist"),
    ],
)
def test_invalid_file_of_thresholds_is_refused(tmp_path: Path, content: str | None, reason: str) -> None:
    path = tmp_path / "thresholds.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ExportError) as error:
        read_thresholds(path, None, LABELS)
    assert str(path) in str(error.value)
    assert reason in str(error.value)


@pytest.mark.parametrize("threshold", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_invalid_default_threshold_is_refused(threshold: float) -> None:
    with pytest.raises(ExportError, match=rf"--threshold {threshold} is invalid: use a number between 0 and 1"):
        read_thresholds(None, threshold, LABELS)


def test_threshold_with_the_best_f1_is_between_two_probabilities() -> None:
    fit = fit_threshold(np.array([0.9, 0.1, 0.4, 0.3]), np.array([True, False, True, False]))
    assert (fit.texts, fit.f1) == (2, 1.0)
    assert fit.threshold == pytest.approx(0.35)
    assert fit.default_f1 == pytest.approx(2 / 3)


def test_label_without_texts_keeps_the_default() -> None:
    assert fit_threshold(np.array([0.9, 0.1]), np.array([False, False])) == Fit(0.5, 0, 0.0, 0.0)


def test_equal_probabilities_are_not_divided() -> None:
    fit = fit_threshold(np.array([0.25, 0.25, 0.25]), np.array([True, False, False]))
    assert fit == Fit(0.125, 1, 0.5, 0.0)


PROBABILITIES = st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.8, 1.0]) | st.floats(0, 1, width=32)
ROWS = st.lists(st.tuples(PROBABILITIES, st.booleans()), min_size=1)


@settings(deadline=None)
@given(ROWS)
def test_no_threshold_is_better_than_the_fitted(rows: list[tuple[float, bool]]) -> None:
    probabilities = np.array([probability for probability, _ in rows])
    has_label = np.array([label for _, label in rows])
    fit = fit_threshold(probabilities, has_label)
    assert is_threshold(fit.threshold)

    def f1(threshold: float) -> float:
        return float(f1_score(has_label, probabilities >= threshold, zero_division=0.0))

    assert fit.f1 == pytest.approx(f1(fit.threshold))
    assert fit.default_f1 == pytest.approx(f1(0.5))
    if fit.texts:
        candidates = [float(number) for number in np.unique(probabilities) if is_threshold(float(number))]
        assert all(f1(threshold) <= fit.f1 + 1e-12 for threshold in candidates)


def test_labelled_texts_are_read(tmp_path: Path) -> None:
    path = tmp_path / "dev.jsonl"
    path.write_text('{"text": "a", "labels": ["fear", "joy"]}\n\n{"text": "b", "labels": []}\n')
    labelled = read_labelled_texts(path, LABELS)
    assert labelled.texts == ("a", "b")
    assert labelled.targets.tolist() == [[True, True, False], [False, False, False]]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"text": "a", "labels": ["envy"]}', "line 1: the model has no label 'envy'; its labels are joy, fear, anger"),
        ('\n{"text": "a"}', "line 2: expected an object such as"),
        ('{"text": 1, "labels": []}', "line 1: expected an object such as"),
        ('{"text": "a", "labels": "joy"}', "line 1: expected an object such as"),
        ("[]", "line 1: expected an object"),
        ("{", "line 1: expected an object"),
        ("\n", "contains no texts"),
        (None, "does not exist"),
    ],
)
def test_malformed_labelled_texts_are_refused(tmp_path: Path, content: str | None, reason: str) -> None:
    path = tmp_path / "dev.jsonl"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError) as error:
        read_labelled_texts(path, LABELS)
    assert str(error.value).startswith(str(path))
    assert reason in str(error.value)
