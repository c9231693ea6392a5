"""Baselines: the label neutral for every text, and logistic regression on TF-IDF."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from undertone_model.benchmark.classifiers import Classifier
from undertone_model.data import load_goemotions, load_stories
from undertone_model.emotions import EMOTIONS

STORY_WEIGHT: Final = 3.0
"""Weight of a story paragraph; our model's recipe has each three times in an epoch."""


def always_neutral() -> Classifier:
    """The label neutral for every text."""

    def predict(texts: Sequence[str]) -> dict[str, NDArray[np.float64]]:
        return {"": np.tile(np.eye(len(EMOTIONS))[EMOTIONS.index("neutral")], (len(texts), 1))}

    return Classifier("always neutral", "", predict, calibrated=False)


def tfidf(goemotions: Path, stories: Path) -> Classifier:
    """Logistic regression on TF-IDF of words and pairs of words.

    It is fitted on what our model is trained on: the train splits of GoEmotions and of the stories.
    Only texts with a single emotion are used. Raises DataError.
    """
    comments, paragraphs = (
        dataset.with_single_emotion() for dataset in (load_goemotions(goemotions, "train"), load_stories(stories, "train"))
    )
    examples = comments.examples + paragraphs.examples
    weights = np.array([1.0] * len(comments.examples) + [STORY_WEIGHT] * len(paragraphs.examples))
    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True), LogisticRegression(C=4.0, max_iter=200, tol=1e-3)
    )
    model.fit(
        [example.text for example in examples],
        np.array([example.label for example in examples]),
        logisticregression__sample_weight=weights,
    )

    def predict(texts: Sequence[str]) -> dict[str, NDArray[np.float64]]:
        found = np.zeros((len(texts), len(EMOTIONS)))
        found[:, model.classes_] = model.predict_proba(list(texts))
        return {"": found}

    return Classifier("TF-IDF + logistic regression", "", predict)
