"""Predictions of a classifier for all texts of a benchmark, each text once."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import numpy as np

from undertone_model.evaluation.classifiers import Classifier, Probabilities

TEXTS_PER_CALL: Final = 1_000


class Predictions:
    """Probabilities of `classifier` by text. `report` is called with the number of new texts."""

    def __init__(self, classifier: Classifier, texts: Iterable[str], report: Callable[[int], None]) -> None:
        self.classifier = classifier
        unique = list(dict.fromkeys(texts))
        # Texts of similar lengths are in one call, so that little is padded.
        unique.sort(key=len)
        self._row = {text: row for row, text in enumerate(unique)}
        parts: dict[str, list[Probabilities]] = {}
        for start in range(0, len(unique), TEXTS_PER_CALL):
            chunk = unique[start : start + TEXTS_PER_CALL]
            for name, probabilities in classifier.predict(chunk).items():
                parts.setdefault(name, []).append(probabilities)
            report(len(chunk))
        self._probabilities = {name: np.concatenate(part) for name, part in parts.items()}

    @property
    def calibrations(self) -> tuple[str, ...]:
        """Names of the calibrations."""
        return tuple(self._probabilities)

    def probabilities(self, texts: Sequence[str], calibration: str | None = None) -> Probabilities:
        """Probabilities [texts, emotions]. The default is the reference calibration."""
        rows = [self._row[text] for text in texts]
        return self._probabilities[calibration if calibration is not None else self.classifier.reference][rows]
