"""Labels, problem types and thresholds of a classifier."""

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_model.configuration import Configuration
from undertone_model.errors import CheckpointError
from undertone_model.labels import (
    ProblemType,
    check_head,
    choose_problem_type,
    probabilities,
    read_labels,
    read_problem_type,
)

CONFIG = Path("checkpoint/config.json")
LABELS = ("joy", "fear", "anger")


@settings(deadline=None)
@given(st.permutations(range(12)))
def test_order_of_the_keys_of_id2label_does_not_matter(order: list[int]) -> None:
    config = {"id2label": {str(index): f"label {index}" for index in order}}
    assert read_labels(Configuration(CONFIG, config), 12) == tuple(f"label {index}" for index in range(12))


@pytest.mark.parametrize("names", [None, {}])
def test_labels_without_names_are_numbered(names: dict[str, str] | None) -> None:
    assert read_labels(Configuration(CONFIG, {"id2label": names, "num_labels": 2}), 2) == ("LABEL_0", "LABEL_1")


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"num_labels": 4}, "num_labels is 4, but the head has 3 labels"),
        ({"id2label": ["joy"]}, "id2label is ['joy'], expected an object"),
        ({"id2label": {"0": "joy", "1": "fear"}}, "id2label has the keys 0, 1, but the head has 3 labels; use the keys 0 to 2"),
        ({"id2label": {"1": "joy", "2": "fear", "3": "anger"}}, "id2label has the keys 1, 2, 3, but"),
        ({"id2label": {"0": "joy", "1": "fear", "2": "joy"}}, "the same name for two labels: joy, fear, joy"),
        ({"id2label": {"0": "joy", "1": "", "2": "fear"}}, "id2label has an empty name: 'joy', '', 'fear'"),
    ],
)
def test_labels_that_disagree_with_the_head_are_refused(config: dict[str, Any], reason: str) -> None:
    with pytest.raises(CheckpointError) as error:
        read_labels(Configuration(CONFIG, config), 3)
    assert str(error.value).startswith(f"{CONFIG}: ")
    assert reason in str(error.value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("single_label_classification", "single-label"), ("multi_label_classification", "multi-label"), (None, None)],
)
def test_problem_type_is_read_from_the_configuration(name: str | None, expected: ProblemType | None) -> None:
    assert read_problem_type(Configuration(CONFIG, {"problem_type": name})) == expected


def test_regression_is_refused_by_name() -> None:
    expected = (
        r"problem_type is 'regression'; train a classifier, with one of single_label_classification, multi_label_classification"
    )
    with pytest.raises(CheckpointError, match=expected):
        read_problem_type(Configuration(CONFIG, {"problem_type": "regression"}))


@pytest.mark.parametrize(
    ("configured", "chosen", "labels", "expected"),
    [
        (None, None, LABELS, "single-label"),
        (None, "multi-label", LABELS, "multi-label"),
        ("multi-label", None, LABELS, "multi-label"),
        ("multi-label", "multi-label", ("joy",), "multi-label"),
        (None, "multi-label", ("joy",), "multi-label"),
    ],
)
def test_option_replaces_an_absent_problem_type(
    configured: ProblemType | None, chosen: ProblemType | None, labels: tuple[str, ...], expected: ProblemType
) -> None:
    assert choose_problem_type(CONFIG.parent, configured, chosen, labels) == expected


@pytest.mark.parametrize(
    ("configured", "chosen", "labels", "reason"),
    [
        ("multi-label", "single-label", LABELS, "--problem-type single-label contradicts checkpoint/config.json"),
        ("single-label", "multi-label", LABELS, "whose problem_type is single-label; omit the option"),
        (None, None, ("joy",), "Hugging Face trains this as a regression, which is not supported"),
        ("single-label", None, ("joy",), "always has the probability 1"),
        (None, "single-label", ("joy",), "always has the probability 1"),
    ],
)
def test_contradiction_and_single_output_are_refused(
    configured: ProblemType | None, chosen: ProblemType | None, labels: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(CheckpointError, match=reason):
        choose_problem_type(CONFIG.parent, configured, chosen, labels)


@pytest.mark.parametrize("name", ["BertForTokenClassification", "BertForMultipleChoice", "BertForMaskedLM", "BertModel"])
def test_head_of_another_task_is_refused(name: str) -> None:
    with pytest.raises(CheckpointError, match=rf"the model is a {name}; an export needs a BertForSequenceClassification"):
        check_head(Configuration(CONFIG, {"architectures": [name]}))


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"architectures": None},
        {"architectures": ["BertForSequenceClassification"]},
        {"architectures": ["BertForMultiLabelClassification"]},
    ],
)
def test_head_of_a_sequence_classification_is_accepted(config: dict[str, Any]) -> None:
    check_head(Configuration(CONFIG, config))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 30) | st.floats() | st.text(max_size=3) | st.just("regression"),
    lambda values: (
        st.lists(values, max_size=3) | st.dictionaries(st.sampled_from("0123") | st.text(max_size=2), values, max_size=4)
    ),
    max_leaves=6,
)
FIELDS = st.dictionaries(st.sampled_from(["id2label", "num_labels", "problem_type", "architectures"]), JSON)


@settings(deadline=None)
@given(FIELDS, st.integers(0, 4))
def test_any_configuration_is_read_or_refused(fields: dict[str, Any], count: int) -> None:
    configuration = Configuration(CONFIG, fields)
    with contextlib.suppress(CheckpointError):
        check_head(configuration)
        assert read_problem_type(configuration) in (None, "single-label", "multi-label")
        labels = read_labels(configuration, count)
        assert len(set(labels)) == count
        assert all(labels)


def test_probabilities_of_both_problem_types() -> None:
    logits = np.log(np.array([[1.0, 3.0]]))
    assert probabilities(logits, "single-label").tolist() == [pytest.approx([0.25, 0.75])]
    assert probabilities(logits, "multi-label").tolist() == [pytest.approx([0.5, 0.75])]
