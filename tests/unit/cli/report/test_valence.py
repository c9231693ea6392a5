"""Valence of known labels."""

import pyarrow as pa
import pytest
from undertone_cli.report.valence import Valence

from tests.unit.support.scored_folder import LABELS


def test_valence_of_single_label_scores() -> None:
    valence = Valence.of(["Joy", "fear", "surprise"])
    assert valence is not None
    scores = pa.table({"Joy": [1.0, 0.0, 0.2], "fear": [0.0, 0.9, 0.2], "surprise": [0.0, 0.1, 0.6]})
    assert valence.column(scores).to_pylist() == pytest.approx([1, -0.9, 0])


def test_independent_probabilities_are_divided_by_their_sum() -> None:
    valence = Valence.of(["joy", "love", "anger"])
    assert valence is not None
    scores = pa.table({"joy": [1.0, 0.1], "love": [0.9, 0.0], "anger": [0.1, 0.0]})
    assert valence.column(scores).to_pylist() == pytest.approx([0.9, 0.1])


@pytest.mark.parametrize(
    ("labels", "known"),
    [
        (LABELS, True),
        (["positive", "negative"], True),
        (["joy", "LABEL_1"], False),
        (["joy", "neutral"], False),
        (["only"], False),
    ],
)
def test_valence_needs_known_labels_of_both_signs(labels: list[str], known: bool) -> None:
    assert (Valence.of(labels) is not None) == known
