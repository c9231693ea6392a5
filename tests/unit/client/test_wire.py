"""Replies of the service, of both problem types, and replies that do not fit."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from undertone_client import Failure, Outcome, Paragraph, ProblemType, Score, ServedModel, ServiceFaultError
from undertone_client.wire import batch_outcomes, served_model, single_score
from undertone_protos.v1 import classifier_pb2 as pb
from undertone_protos.v1 import contract_pb2

LABELS = ("LABEL_0", "joy or relief", "n/a")
PROBABILITIES = (0.75, 0.875, 0.125)  # exact in binary, not a distribution
SINGLE, MULTI = contract_pb2.PROBLEM_TYPE_SINGLE_LABEL, contract_pb2.PROBLEM_TYPE_MULTI_LABEL
PARAGRAPH = Paragraph("text")


def single_reply(**fields: Any) -> Score:
    message = pb.ClassifyResponse(label="joy or relief", **{"labels": LABELS, "probabilities": PROBABILITIES, **fields})
    return single_score(message, PARAGRAPH)


def batch_reply(problem_type: int, *above: Sequence[int], labels: Sequence[str] = LABELS) -> list[Outcome]:
    message = pb.ClassifyBatchResponse(labels=labels, problem_type=problem_type)  # type: ignore[arg-type]
    for indexes in above:
        message.results.add().classification.MergeFrom(
            pb.Classification(label_index=1, probabilities=PROBABILITIES, label_indexes_above_threshold=indexes)
        )
    return batch_outcomes(message, [PARAGRAPH] * len(above), attempts=1)


def model_reply(**fields: Any) -> ServedModel:
    return served_model(pb.GetModelResponse(contract=contract_pb2.ModelContract(labels=LABELS, **fields)))


def test_a_multi_label_reply_has_the_labels_above_their_threshold() -> None:
    score = single_reply(problem_type=MULTI, labels_above_threshold=["LABEL_0", "joy or relief"])
    assert score.problem_type is ProblemType.MULTI_LABEL
    assert score.labels_above_threshold == ("LABEL_0", "joy or relief")
    assert score.label == "joy or relief"
    assert score.distribution == dict(zip(LABELS, PROBABILITIES, strict=True))
    assert batch_reply(MULTI, [0, 1]) == [score]


def test_a_paragraph_may_have_no_label() -> None:
    [score] = batch_reply(MULTI, [])
    assert score == single_reply(problem_type=MULTI)
    assert isinstance(score, Score)
    assert score.labels_above_threshold == ()
    assert score.label == "joy or relief"


@pytest.mark.parametrize("problem_type", [SINGLE, contract_pb2.PROBLEM_TYPE_UNSPECIFIED])
def test_a_reply_without_a_problem_type_is_single_label(problem_type: int) -> None:
    [score] = batch_reply(problem_type, [])
    assert score == single_reply(problem_type=problem_type)
    assert isinstance(score, Score)
    assert (score.problem_type, score.labels_above_threshold) == (ProblemType.SINGLE_LABEL, ())


@pytest.mark.parametrize(
    "fields",
    [
        {"problem_type": MULTI, "labels_above_threshold": ["joy"]},
        {"problem_type": SINGLE, "labels_above_threshold": ["LABEL_0"]},
        {"problem_type": 9},
        {"problem_type": MULTI, "probabilities": [0.5, 0.5]},
    ],
)
def test_a_reply_that_does_not_fit_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ServiceFaultError, match="the reply is malformed"):
        single_reply(**fields)


@pytest.mark.parametrize(
    ("problem_type", "above", "labels"),
    [(MULTI, [3], LABELS), (SINGLE, [0], LABELS), (9, [], LABELS), (MULTI, [0], LABELS[:2])],
)
def test_a_result_that_does_not_fit_is_refused(problem_type: int, above: list[int], labels: Sequence[str]) -> None:
    with pytest.raises(ServiceFaultError, match="the reply is malformed"):
        batch_reply(problem_type, [], above, labels=labels)


@given(st.lists(st.integers(0, 5)))
def test_a_result_has_labels_of_the_reply_or_is_refused(above: list[int]) -> None:
    try:
        [score] = batch_reply(MULTI, above)
    except ServiceFaultError:
        assert max(above) >= len(LABELS)
        return
    assert isinstance(score, Score)
    assert score.labels_above_threshold == tuple(LABELS[index] for index in above)


def test_an_error_in_a_multi_label_reply_is_a_failure() -> None:
    message = pb.ClassifyBatchResponse(labels=LABELS, problem_type=MULTI)
    message.results.add().error.code = 3
    [outcome] = batch_outcomes(message, [PARAGRAPH], attempts=1)
    assert isinstance(outcome, Failure)


def test_the_served_model_has_a_threshold_for_each_label() -> None:
    served = model_reply(problem_type=MULTI, thresholds=[0.5, 0.25, 0.5])
    assert (served.problem_type, served.thresholds) == (ProblemType.MULTI_LABEL, (0.5, 0.25, 0.5))
    assert (model_reply().problem_type, model_reply().thresholds) == (ProblemType.SINGLE_LABEL, ())


@pytest.mark.parametrize("fields", [{"problem_type": MULTI, "thresholds": [0.5]}, {"thresholds": [0.5, 0.5, 0.5]}])
def test_thresholds_that_do_not_fit_the_labels_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ServiceFaultError, match="thresholds for 3 labels"):
        model_reply(**fields)
