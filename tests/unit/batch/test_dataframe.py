from dataclasses import replace

import grpc
import pytest
from undertone_batch import OUTCOME
from undertone_batch.dataframe import outcome_columns
from undertone_client import Failure, Model, Paragraph, ProblemType, Score, Timings

SCORE = Score(
    Paragraph("text"), "joy", ("joy", "fear"), (0.75, 0.25), 12, False, 1, Timings(0, 0, 0, 0), Model("emotions", 3, "bf16")
)
FAILURE = Failure(Paragraph("text"), grpc.StatusCode.UNAVAILABLE, "connection refused", attempts=5)


def test_an_outcome_sets_the_columns_of_a_score_or_of_a_failure() -> None:
    columns = {name: column.to_pylist() for name, column in outcome_columns([SCORE, FAILURE]).items()}
    assert list(columns) == OUTCOME.names
    assert columns.pop("probabilities") == [[("joy", 0.75), ("fear", 0.25)], None]
    assert [values[0] for values in columns.values()] == [
        "joy",
        None,
        12,
        1,
        False,
        "",
        "emotions",
        3,
        "bf16",
        "OK",
        None,
        None,
    ]
    assert [values[1] for values in columns.values()] == [*[None] * 9, "UNAVAILABLE", "connection refused", 5]


@pytest.mark.parametrize("above", [(), ("joy",)])
def test_an_outcome_of_a_multi_label_model_has_a_list_of_labels(above: tuple[str, ...]) -> None:
    score = replace(SCORE, problem_type=ProblemType.MULTI_LABEL, labels_above_threshold=above)
    columns = outcome_columns([score, SCORE, FAILURE])
    assert columns["labels_above_threshold"].to_pylist() == [list(above), None, None]


def test_flags_are_separated_by_commas() -> None:
    columns = outcome_columns([replace(SCORE, flags=("language", "unreadable")), SCORE, FAILURE])
    assert columns["flags"].to_pylist() == ["language,unreadable", "", None]


def test_no_outcomes_are_columns_without_rows() -> None:
    assert {len(column) for column in outcome_columns([]).values()} == {0}


@pytest.mark.parametrize("name", ["label", "probabilities", "labels_above_threshold", "reason"])
def test_columns_are_nullable_in_spark(name: str) -> None:
    assert OUTCOME[name].nullable
