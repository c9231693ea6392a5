"""Stages whose adapters are kept."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from undertone_model.adapters import Adapters, TrainingData, load_adapters
from undertone_model.arrays import NamedArrays
from undertone_model.emotions import EMOTIONS
from undertone_model.errors import CheckpointError
from undertone_model.stages import train_stage

RECORD = Adapters(
    tensors={},
    sha256="",
    base_sha256="0",
    labels=EMOTIONS,
    recipe={"seed": 1, "second_stage.epochs": 2},
    priors={},
    training_data=(TrainingData("stories/train", "Apache-2.0", 3, "1"),),
    scores=(),
)


def trained() -> NamedArrays:
    return {"classifier.bias": np.array([1 / 3, 1], np.float32)}


def not_trained() -> NamedArrays:
    raise AssertionError("the stage is complete")


def test_a_complete_stage_is_not_trained_again(tmp_path: Path) -> None:
    first = train_stage(tmp_path / "stage", RECORD, trained)
    assert first.tensors["classifier.bias"][0] == np.float16(1 / 3)
    again = train_stage(tmp_path / "stage", RECORD, not_trained)
    np.testing.assert_array_equal(again.tensors["classifier.bias"], first.tensors["classifier.bias"])
    assert replace(again, tensors={}) == RECORD
    # A recipe of an earlier release has fewer values.
    newer = replace(RECORD, recipe={**RECORD.recipe, "second_stage.soft_labels": 0.0})
    assert train_stage(tmp_path / "stage", newer, not_trained).recipe == newer.recipe
    assert load_adapters(tmp_path / "stage").recipe == RECORD.recipe


@pytest.mark.parametrize(
    "other",
    [
        replace(RECORD, recipe={"seed": 2, "second_stage.epochs": 2}),
        replace(RECORD, base_sha256="1"),
        replace(RECORD, training_data=()),
    ],
)
def test_a_stage_of_another_training_is_refused(other: Adapters, tmp_path: Path) -> None:
    train_stage(tmp_path, RECORD, trained)
    with pytest.raises(CheckpointError, match="adapters of another training; delete the folder, or use another --out"):
        train_stage(tmp_path, other, not_trained)


def test_without_a_folder_the_stage_is_trained() -> None:
    assert train_stage(None, RECORD, trained).tensors.keys() == {"classifier.bias"}
