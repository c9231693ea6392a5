"""What a corpus is: its licence, its mapping to the nine emotions, and its reader."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from undertone_model.data import Split
from undertone_model.emotions import EMOTIONS
from undertone_model.errors import DataError


@dataclass(frozen=True, slots=True)
class LabelledText:
    """A text and its emotions, which are some of EMOTIONS. A text may have several or none."""

    text: str
    emotions: frozenset[str]


@dataclass(frozen=True, slots=True)
class TestSet:
    """Labelled texts of one corpus.

    `emotions` are the emotions that its labels map to, in the order of EMOTIONS; macro-F1 is the
    mean over these. `fiction` is true for stories, novels and tales.
    """

    # The name begins with "Test", but it is not a test case.
    __test__ = False

    name: str
    license: str
    emotions: tuple[str, ...]
    fiction: bool
    texts: tuple[LabelledText, ...]

    @property
    def with_several(self) -> int:
        """Number of texts with more than one of the nine emotions."""
        return sum(len(text.emotions) > 1 for text in self.texts)

    @property
    def with_none(self) -> int:
        """Number of texts with none of the nine emotions, such as those with only trust."""
        return sum(not text.emotions for text in self.texts)

    def with_single_emotion(self) -> "TestSet":
        """The texts with exactly one emotion. Only these have F1 and calibration error."""
        return replace(self, texts=tuple(text for text in self.texts if len(text.emotions) == 1))

    def sample(self, rows: int, seed: int) -> "TestSet":
        """At most `rows` texts, drawn without replacement, in their order."""
        if rows >= len(self.texts):
            return self
        chosen = np.sort(np.random.default_rng(seed).permutation(len(self.texts))[:rows])
        return replace(self, texts=tuple(self.texts[index] for index in chosen.tolist()))

    def targets(self) -> NDArray[np.bool_]:
        """True for each emotion of each text, [rows, emotions], in the order of EMOTIONS."""
        return np.array([[emotion in text.emotions for emotion in EMOTIONS] for text in self.texts], bool).reshape(-1, 9)


@dataclass(frozen=True, slots=True)
class Corpus:
    """A corpus that a user downloads.

    `mapping` maps each of its labels to one of EMOTIONS, or to None if it is not one of them.
    `read` yields the text and the labels of each row of a file or folder, or of one split of it,
    and raises DataError. `place` says which file or folder that is.
    """

    name: str
    title: str
    license: str
    place: str
    fiction: bool
    mapping: Mapping[str, str | None]
    read: Callable[[Path, Split | None], Iterable[tuple[str, Iterable[str]]]]

    @property
    def emotions(self) -> tuple[str, ...]:
        """The emotions that its labels map to, in the order of EMOTIONS."""
        return tuple(emotion for emotion in EMOTIONS if emotion in self.mapping.values())

    def test_set(self, path: Path, split: Split | None) -> TestSet:
        """The texts of `split` in `path`, or all. Raises DataError for a malformed row and for an
        empty file.
        """
        texts = []
        for text, labels in self.read(path, split):
            emotions = frozenset(emotion for label in labels if (emotion := self.mapping[label]))
            texts.append(LabelledText(text, emotions))
        if not texts:
            rows = f", with rows of its {split} split" if split else ""
            raise DataError(f"{path} contains no texts; {self.title} needs {self.place}{rows}")
        return TestSet(self.name, self.license, self.emotions, self.fiction, tuple(texts))
