"""Baselines: the label neutral for every text, a lexicon, and logistic regression on TF-IDF."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from undertone_model.data import load_goemotions, load_stories
from undertone_model.emotions import EMOTIONS
from undertone_model.errors import DataError
from undertone_model.evaluation.classifiers import Classifier

WORD: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
STORY_WEIGHT: Final = 3.0
"""Weight of a story paragraph; our model's recipe has each three times in an epoch."""


def always_neutral() -> Classifier:
    """The label neutral for every text."""

    def predict(texts: Sequence[str]) -> dict[str, NDArray[np.float64]]:
        return {"": np.tile(np.eye(len(EMOTIONS))[EMOTIONS.index("neutral")], (len(texts), 1))}

    return Classifier("always neutral", "", predict, calibrated=False)


def lexicon(path: Path) -> Classifier:
    """The emotion with the most words in a text, the first of EMOTIONS if several have as many, and
    neutral if no word is in the lexicon.

    Each line of `path` has a category and its words, separated by tabs (Empath has such a file).
    Categories that are not emotions are ignored. Raises DataError.
    """
    emotions_of = _read_lexicon(path)

    def predict(texts: Sequence[str]) -> dict[str, NDArray[np.float64]]:
        counts = np.zeros((len(texts), len(EMOTIONS)))
        for row, text in enumerate(texts):
            for word in WORD.findall(text.lower()):
                counts[row, emotions_of.get(word, [])] += 1
            counts[row, EMOTIONS.index("neutral")] += not counts[row].any()
        return {"": counts / counts.sum(axis=1, keepdims=True)}

    return Classifier("lexicon", "", predict, calibrated=False)


def _read_lexicon(path: Path) -> dict[str, list[int]]:
    """Indices in EMOTIONS of each word."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {error}") from None
    emotions_of: dict[str, list[int]] = {}
    for category, *words in (line.split("\t") for line in lines):
        for word in set(words) if category in EMOTIONS else ():
            emotions_of.setdefault(word, []).append(EMOTIONS.index(category))
    if not emotions_of:
        raise DataError(f"{path} has no words of an emotion; expected lines with one of {', '.join(EMOTIONS)}, a tab and words")
    return emotions_of


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
