"""Pools the labels of a classifier into the nine emotions.

Classifiers of GoEmotions have up to 28 labels, and others have a few of the nine emotions. A label
maps to an emotion as in the training data of our model (`emotions.py`).
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from undertone_model.emotions import EMOTIONS, GOEMOTIONS
from undertone_model.errors import CheckpointError
from undertone_model.labels import ProblemType

MAPPING = {**GOEMOTIONS, **{emotion: emotion for emotion in EMOTIONS}}


def pool_emotions(
    folder: Path, labels: Sequence[str], problem_type: ProblemType
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """A function from probabilities [texts, labels] to probabilities [texts, emotions].

    The probability of an emotion is the sum of its labels for single-label models, their maximum
    for multi-label models, and 0 if it has no label. Upper and lower case do not matter. Raises
    CheckpointError for a label that maps to no emotion.
    """
    names = [label.lower() for label in labels]
    if unknown := [label for label in labels if label.lower() not in MAPPING]:
        known = ", ".join(sorted(MAPPING))
        raise CheckpointError(
            f"{folder} has the label {unknown[0]!r}, which is not an emotion; rename its labels (id2label) to some of: {known}"
        )
    emotion_of = np.array([EMOTIONS.index(MAPPING[name]) for name in names])

    def pool(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        pooled = np.zeros((len(probabilities), len(EMOTIONS)))
        for emotion in sorted(set(emotion_of.tolist())):
            columns = probabilities[:, emotion_of == emotion]
            pooled[:, emotion] = columns.sum(axis=1) if problem_type == "single-label" else columns.max(axis=1)
        return pooled

    return pool
