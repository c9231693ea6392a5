"""Thresholds of a multi-label model: the smallest probability with which a text has a label."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from undertone_model.errors import DataError, ExportError

DEFAULT_THRESHOLD: Final = 0.5


@dataclass(frozen=True, slots=True)
class LabelledTexts:
    """Texts with their labels: `targets` [texts, labels] is true where a text has the label."""

    texts: tuple[str, ...]
    targets: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Fit:
    """The threshold with the best F1 of one label.

    `texts` is the number of texts with the label. `f1` is measured on the texts of the fit, with
    this threshold, and `default_f1` with DEFAULT_THRESHOLD. A label without texts keeps
    DEFAULT_THRESHOLD.
    """

    threshold: float
    texts: int
    f1: float
    default_f1: float


def is_threshold(value: object) -> bool:
    """Whether `value` is a number between 0 and 1, both excluded. NaN is not."""
    return isinstance(value, float) and 0 < value < 1


def read_thresholds(path: Path | None, default: float | None, labels: Sequence[str]) -> tuple[float, ...]:
    """Thresholds of a multi-label model, in the order of its labels.

    `path` is a JSON file that maps labels to thresholds, or None. Labels that it does not contain
    have the threshold `default`, which is DEFAULT_THRESHOLD if it is None. Raises ExportError.
    """
    rest = DEFAULT_THRESHOLD if default is None else default
    if not is_threshold(rest):
        raise ExportError(f"--threshold {rest} is invalid: use a number between 0 and 1")
    if path is None:
        return (rest,) * len(labels)
    try:
        numbers = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ExportError(f"{path} does not exist") from None
    except (OSError, ValueError) as error:
        raise ExportError(f"cannot read {path}: {error}") from None
    if not isinstance(numbers, dict):
        raise ExportError(f'{path}: expected an object such as {{"joy": 0.3}}, found {type(numbers).__name__}')
    for label, number in numbers.items():
        if label not in labels:
            raise ExportError(f"{path}: the model has no label {label!r}; its labels are {', '.join(labels)}")
        if not is_threshold(number):
            raise ExportError(f"{path}: the threshold of {label!r} is {number!r}; use a number between 0 and 1")
    return tuple(float(numbers.get(label, rest)) for label in labels)


def read_labelled_texts(path: Path, labels: Sequence[str]) -> LabelledTexts:
    """Reads a JSONL file. Each line is an object with `text` and `labels`, a list of names.

    Empty lines are skipped. Raises DataError, with file and line, for a malformed line and an
    unknown label, and for a file without texts.
    """
    try:
        lines = path.read_bytes().decode().split("\n")
    except FileNotFoundError:
        raise DataError(f"{path} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {error}") from None
    texts, targets = [], []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            text, names = row["text"], row["labels"]
        except (ValueError, KeyError, TypeError):
            text = names = None
        if not isinstance(text, str) or not isinstance(names, list):
            raise DataError(f'{path}, line {number}: expected an object such as {{"text": "Home!", "labels": ["joy"]}}')
        if unknown := [name for name in names if name not in labels]:
            raise DataError(f"{path}, line {number}: the model has no label {unknown[0]!r}; its labels are {', '.join(labels)}")
        texts.append(text)
        targets.append([label in names for label in labels])
    if not texts:
        raise DataError(f"{path} contains no texts; write an object with text and labels in each line")
    return LabelledTexts(tuple(texts), np.array(targets))


def fit_threshold(probabilities: NDArray[np.float64], has_label: NDArray[np.bool_]) -> Fit:
    """The threshold with the best F1 for the probabilities [texts] of a label.

    It is in the middle between two neighbouring probabilities. The largest of equally good
    thresholds is taken.
    """
    total = int(has_label.sum())
    default_f1 = _f1(has_label, probabilities >= DEFAULT_THRESHOLD)
    order = np.argsort(-probabilities, kind="stable")
    ranked = probabilities[order]
    hits = np.cumsum(has_label[order])
    f1 = 2 * hits / (np.arange(1, len(ranked) + 1) + total)
    following = np.append(ranked[1:], 0.0)
    # A threshold cannot divide texts with equal probabilities.
    f1[ranked <= following] = -1.0
    best = int(np.argmax(f1))
    if not total or f1[best] <= 0:
        return Fit(DEFAULT_THRESHOLD, total, default_f1, default_f1)
    return Fit(float((ranked[best] + following[best]) / 2), total, float(f1[best]), default_f1)


def _f1(has_label: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> float:
    count = int(has_label.sum() + predicted.sum())
    return float(2 * (has_label & predicted).sum() / count) if count else 0.0
