"""Labelled paragraphs: GoEmotions' TSV files and our own story paragraphs."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from undertone_model.emotions import EMOTIONS, GOEMOTIONS
from undertone_model.errors import DataError

Split = Literal["train", "dev", "test"]

STORY_ID: Final = re.compile(r".+/(?P<index>[0-9]{2})")

#: Of the ten paragraphs that a genre has for an emotion, those held out (a fifth) and those that calibrate (a tenth).
STORY_TEST: Final = ("08", "09")
STORY_DEV: Final = ("07",)


@dataclass(frozen=True, slots=True)
class Example:
    """A text and its emotions: a distribution over EMOTIONS, shared equally among those that it was labelled with."""

    text: str
    target: tuple[float, ...]

    @property
    def single(self) -> bool:
        """True if the text has exactly one emotion; only such examples are evaluated."""
        return max(self.target) == 1.0

    @property
    def label(self) -> int:
        """Position in EMOTIONS of the (first) emotion."""
        return int(np.argmax(self.target))


@dataclass(frozen=True, slots=True)
class Dataset:
    """One split of a data set.

    `name` is such as "goemotions/test"; `sha256` is that of the files it was read from, in order of their names.
    """

    name: str
    license: str
    sha256: str
    examples: tuple[Example, ...]

    def singles(self) -> "Dataset":
        """The examples that have exactly one emotion."""
        return Dataset(self.name, self.license, self.sha256, tuple(example for example in self.examples if example.single))

    def labels(self) -> NDArray[np.int64]:
        return np.array([example.label for example in self.examples])


def goemotions(folder: Path, split: Split) -> Dataset:
    """Reads `<folder>/<split>.tsv` (text, comma-separated label numbers, id) with `<folder>/labels.txt`.

    Raises DataError, naming file and line, if a file is missing or a line is not of that form.
    """
    names = _read(folder / "labels.txt").split()
    if unknown := sorted(set(names) - set(GOEMOTIONS)):
        raise DataError(f"{folder / 'labels.txt'} has the label {unknown[0]!r}, which GoEmotions does not have")
    emotions = {str(number): GOEMOTIONS[name] for number, name in enumerate(names)}
    path = folder / f"{split}.tsv"
    content = _read(path)
    examples = []
    for number, line in _lines(content):
        try:
            text, labels, _ = line.split("\t")
            examples.append(Example(text, _target(emotions[label] for label in labels.split(","))))
        except (ValueError, KeyError):
            expected = f"text, label numbers below {len(names)} and an id, separated by tabs"
            raise DataError(f"{path}, line {number}: expected {expected}") from None
    digest = hashlib.sha256(content.encode()).hexdigest()
    return Dataset(f"goemotions/{split}", "Apache-2.0", digest, tuple(examples))


def stories(folder: Path, split: Split) -> Dataset:
    """Reads the story paragraphs of `<folder>/*.jsonl` that belong to `split`.

    The last two digits of an id (`western/anger/08`) decide: 08 and 09 are test, 07 is dev, all others train.
    Raises DataError, naming file and line, if a line is not of that form.
    """
    paths = sorted(folder.glob("*.jsonl"))
    if not paths:
        raise DataError(f"{folder} holds no .jsonl files; the project keeps its story paragraphs in model/data/stories")
    digest = hashlib.sha256()
    examples = []
    for path in paths:
        content = _read(path)
        digest.update(content.encode())
        for number, line in _lines(content):
            try:
                belongs, example = _paragraph(line)
            except (ValueError, KeyError, TypeError):
                expected = "an object with id (ending in a slash and two digits), emotion (one of the nine) and text"
                raise DataError(f"{path}, line {number}: expected {expected}") from None
            if belongs == split:
                examples.append(example)
    return Dataset(f"stories/{split}", "Apache-2.0", digest.hexdigest(), tuple(examples))


def _paragraph(line: str) -> tuple[Split, Example]:
    """A line of a file of stories and the split that it belongs to. Raises ValueError, KeyError or TypeError."""
    row = json.loads(line)
    found = STORY_ID.fullmatch(row["id"])
    if not found or not isinstance(row["text"], str):
        raise ValueError
    index = found["index"]
    split: Split = "test" if index in STORY_TEST else "dev" if index in STORY_DEV else "train"
    return split, Example(row["text"], _target([row["emotion"]]))


def _lines(content: str) -> Iterator[tuple[int, str]]:
    """Numbered lines, ended by line feeds only: a text may hold other characters at which Python splits lines."""
    return enumerate(content.removesuffix("\n").split("\n"), 1)


def _target(emotions: Iterable[str]) -> tuple[float, ...]:
    chosen = {EMOTIONS.index(emotion) for emotion in emotions}
    return tuple(1.0 / len(chosen) if position in chosen else 0.0 for position in range(len(EMOTIONS)))


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; see model/CARD.md for where the data comes from") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from None
