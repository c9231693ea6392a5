"""The data sets of training, with one split of each."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from undertone_model.corpora import reman, xed
from undertone_model.corpora.plutchik import PLUTCHIK
from undertone_model.data import Dataset, Example, Split, load_goemotions, load_stories
from undertone_model.emotions import EMOTIONS
from undertone_model.errors import DataError
from undertone_model.readings import READINGS, load_readings, passages_of_novels
from undertone_model.soft_labels import load_soft_labels

SHORT_TEXTS: Final = "short.jsonl"
"""File of short texts in the folder of paragraphs of fiction. They are a data set of their own."""

PASSAGE_CERTAINTY: Final = 0.75
"""Share of the label of a sentence in the target of its passage. All emotions share the rest."""

READING_SHARE: Final = 0.25
"""Share of the blind reading in the target of a paragraph of fiction. The writer has the rest."""

SECOND_EMOTION: Final = 0.3
"""Share of the second emotion of a blind reading."""


@dataclass(frozen=True, slots=True)
class TrainingSets:
    """Paths of the data sets. The first stage needs only the first two.

    `goemotions`, `stories` and `fiction` are folders: the TSV files of GoEmotions, our story
    paragraphs and our paragraphs of fiction. `reman`, `xed` and `soft_labels` are files; the last
    has no other split than train. `novels` are files with the paragraphs of the novels whose
    passages have readings in `fiction`.
    """

    goemotions: Path
    stories: Path
    fiction: Path | None = None
    reman: Path | None = None
    xed: Path | None = None
    soft_labels: Path | None = None
    novels: tuple[Path, ...] = ()

    def load(self, split: Split) -> dict[str, Dataset]:
        """The data sets by name. The field of a recipe with this name is the number of views.

        Only data sets with a path are read. Raises DataError.
        """
        datasets = {
            "goemotions": load_goemotions(self.goemotions, split),
            "stories": load_stories(self.stories, split),
        }
        if self.fiction:
            datasets["fiction"] = load_fiction(self.fiction, split)
            datasets["short_texts"] = load_fiction(self.fiction, split, short=True)
        if self.reman:
            datasets["sentences"] = load_sentences(self.reman, split)
            datasets["passages"] = load_passages(self.reman, split)
        if self.xed:
            datasets["subtitles"] = load_subtitles(self.xed, split)
        if self.novels and self.fiction and self.reman:
            texts = passages_of_novels(self.reman, self.novels)
            datasets["readings"] = load_readings(self.fiction / READINGS, texts, split)
        if self.soft_labels and split == "train":
            datasets["soft_labels"] = load_soft_labels(self.soft_labels)
        return datasets


def load_fiction(folder: Path, split: Split, *, short: bool = False) -> Dataset:
    """Reads the paragraphs of `split` in `<folder>/*.jsonl`, or with `short` those in SHORT_TEXTS.

    The last digit of an id determines the split: 9 is test, 8 is dev. The target joins the emotions
    that the writer intended and those of the blind reading, if the paragraph has one.
    Raises DataError, with file and line, for a malformed line.
    """
    paths = sorted(path for path in folder.glob("*.jsonl") if (path.name == SHORT_TEXTS) == short)
    if not paths:
        raise DataError(
            f"{folder} contains no .jsonl files; the paragraphs of fiction of this project are in model/data/fiction"
        )
    digest = hashlib.sha256()
    examples = []
    for path in paths:
        content = path.read_text(encoding="utf-8")
        digest.update(content.encode())
        for number, line in enumerate(content.removesuffix("\n").split("\n"), 1):
            try:
                row = json.loads(line)
                example = Example(str(row["text"]), _paragraph_target(row["emotions"], row.get("reading", [])))
                last_digit = int(row["id"][-1])
            except (ValueError, KeyError, TypeError):
                expected = "an object with id (ending in a digit), emotions and text"
                raise DataError(f"{path}, line {number}: expected {expected}") from None
            if split == ("test" if last_digit == 9 else "dev" if last_digit == 8 else "train"):
                examples.append(example)
    return Dataset(f"{'short texts' if short else 'fiction'}/{split}", "Apache-2.0", digest.hexdigest(), tuple(examples))


def load_sentences(path: Path, split: Split) -> Dataset:
    """The annotated sentences of REMAN. Several emotions have equal shares."""
    rows = ((row.sentence, row.labels) for row in reman.read_passages(path, split))
    return Dataset(f"reman/{split}", "CC-BY-4.0", _sha256(path), tuple(_examples(rows)))


def load_passages(path: Path, split: Split) -> Dataset:
    """The passages of REMAN with softened labels, because only one sentence was annotated."""
    rows = ((row.passage, row.labels) for row in reman.read_passages(path, split))
    rest = (1 - PASSAGE_CERTAINTY) / len(EMOTIONS)
    examples = (
        Example(example.text, tuple(share * PASSAGE_CERTAINTY + rest for share in example.target))
        for example in _examples(rows)
    )
    return Dataset(f"reman passages/{split}", "CC-BY-4.0", _sha256(path), tuple(examples))


def load_subtitles(path: Path, split: Split) -> Dataset:
    """The lines of XED. Several emotions have equal shares."""
    return Dataset(f"xed/{split}", "CC-BY-4.0", _sha256(path), tuple(_examples(xed.read(path, split))))


def soften(dataset: Dataset, probabilities: NDArray[np.float64], share: float) -> Dataset:
    """The data set with targets that have `share` of the `probabilities` [rows, labels], and the
    rest of the labels.
    """
    examples = (
        Example(example.text, tuple(((1 - share) * np.array(example.target) + share * row).tolist()))
        for example, row in zip(dataset.examples, probabilities, strict=True)
    )
    return Dataset(dataset.name, dataset.license, dataset.sha256, tuple(examples))


def _examples(rows: Iterable[tuple[str, list[str]]]) -> Iterator[Example]:
    """Examples of rows with labels of Plutchik. Rows with none of the nine emotions are left out,
    and so are labels that are not ours (trust).
    """
    for text, labels in rows:
        emotions = {emotion for label in labels if (emotion := PLUTCHIK.get(label))}
        if emotions:
            yield Example(text, tuple((emotion in emotions) / len(emotions) for emotion in EMOTIONS))


def _paragraph_target(emotions: dict[str, float], reading: list[str]) -> tuple[float, ...]:
    if unknown := {*emotions, *reading} - set(EMOTIONS):
        raise ValueError(unknown)
    shares = (
        dict.fromkeys(reading, 1.0)
        if len(reading) == 1
        else dict(zip(reading, (1 - SECOND_EMOTION, SECOND_EMOTION), strict=False))
    )
    weight = READING_SHARE if reading else 0.0
    return tuple((1 - weight) * emotions.get(name, 0.0) + weight * shares.get(name, 0.0) for name in EMOTIONS)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
