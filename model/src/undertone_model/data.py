"""Texts: GoEmotions and our story paragraphs with their labels, and samples without labels."""

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

PACKAGED_STORIES: Final = Path(__file__).parent / "artifacts" / "stories"
"""Folder of the story paragraphs, which belong to this package."""

STORY_ID: Final = re.compile(r".+/(?P<index>[0-9]{2})")

# A genre has ten paragraphs for each emotion: one for calibration, two for the test.
STORY_DEV: Final = ("07",)
STORY_TEST: Final = ("08", "09")


@dataclass(frozen=True, slots=True)
class Example:
    """A text and its target over EMOTIONS: the shares of its emotions, whose sum is 1."""

    text: str
    target: tuple[float, ...]

    @property
    def has_single_emotion(self) -> bool:
        """True if the text has exactly one emotion. Only such examples are evaluated."""
        return max(self.target) == 1.0

    @property
    def label(self) -> int:
        """Index in EMOTIONS of the emotion with the largest share, of the first of several."""
        return int(np.argmax(self.target))


@dataclass(frozen=True, slots=True)
class Dataset:
    """One split of a data set.

    An example of `name` is "goemotions/test". `sha256` is the hash of the files that were read, in
    the order of their names.
    """

    name: str
    license: str
    sha256: str
    examples: tuple[Example, ...]

    def with_single_emotion(self) -> "Dataset":
        """The examples that have exactly one emotion."""
        examples = tuple(example for example in self.examples if example.has_single_emotion)
        return Dataset(self.name, self.license, self.sha256, examples)

    def with_main_emotion(self) -> "Dataset":
        """The examples that have one emotion with the largest share."""
        examples = tuple(example for example in self.examples if example.target.count(max(example.target)) == 1)
        return Dataset(self.name, self.license, self.sha256, examples)

    def labels(self) -> NDArray[np.int64]:
        """The labels [rows] of the examples."""
        return np.array([example.label for example in self.examples])


@dataclass(frozen=True, slots=True)
class Sample:
    """Texts that compare an export with float32.

    An example of `name` is "stories/held-out". `sha256` is the hash of the files that were read.
    """

    name: str
    sha256: str
    texts: tuple[str, ...]


def load_goemotions(folder: Path, split: Split) -> Dataset:
    """Reads `<folder>/<split>.tsv` (text, comma-separated label numbers, id) with
    `<folder>/labels.txt`.

    Raises DataError, with file and line, for a missing file or a malformed line.
    """
    names = _read(folder / "labels.txt").split()
    if unknown := sorted(set(names) - set(GOEMOTIONS)):
        raise DataError(f"{folder / 'labels.txt'} has the label {unknown[0]!r}, which is not a label of GoEmotions")
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
    sha256 = hashlib.sha256(content.encode()).hexdigest()
    return Dataset(f"goemotions/{split}", "Apache-2.0", sha256, tuple(examples))


def load_stories(folder: Path, split: Split) -> Dataset:
    """Reads the story paragraphs of `split` in `<folder>/*.jsonl`.

    The last two digits of an id (`western/anger/08`) determine the split: 08 and 09 are test, 07 is
    dev, all others are train. Raises DataError, with file and line, for a malformed line.
    """
    paths = sorted(folder.glob("*.jsonl"))
    if not paths:
        raise DataError(f"{folder} contains no .jsonl files; the story paragraphs of this project are in {PACKAGED_STORIES}")
    digest = hashlib.sha256()
    examples = []
    for path in paths:
        content = _read(path)
        digest.update(content.encode())
        for number, line in _lines(content):
            try:
                line_split, example = _parse_paragraph(line)
            except (ValueError, KeyError, TypeError):
                expected = "an object with id (ending in a slash and two digits), emotion (one of the nine) and text"
                raise DataError(f"{path}, line {number}: expected {expected}") from None
            if line_split == split:
                examples.append(example)
    return Dataset(f"stories/{split}", "Apache-2.0", digest.hexdigest(), tuple(examples))


def load_sample(path: Path) -> Sample:
    """Reads a folder of story paragraphs (the dev and test splits), or a file of texts.

    Each line of a .jsonl file is an object with `text`; each line of any other file is a text.
    Empty lines are skipped. Raises DataError, with file and line, for a malformed line, and for a
    sample without texts.
    """
    if path.is_dir():
        held_out = [load_stories(path, split) for split in ("test", "dev")]
        texts = tuple(example.text for dataset in held_out for example in dataset.examples)
        sample = Sample("stories/held-out", held_out[0].sha256, texts)
    else:
        sample = _load_sample_file(path)
    if not sample.texts:
        raise DataError(f"{path} contains no texts; write one text in each line")
    return sample


def load_usual_texts(path: Path) -> Sample:
    """As `load_sample`, but the train and dev splits of a folder of story paragraphs.

    The thresholds of flags are fitted on these texts.
    """
    if not path.is_dir():
        return load_sample(path)
    usual = [load_stories(path, split) for split in ("train", "dev")]
    texts = tuple(example.text for dataset in usual for example in dataset.examples)
    return Sample("stories/train+dev", usual[0].sha256, texts)


def _load_sample_file(path: Path) -> Sample:
    try:
        content = path.read_bytes()
        lines = content.decode().split("\n")
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; use a file with one text in each line") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {error}") from None
    texts = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if path.suffix == ".jsonl":
        texts = [(number, _parse_text(path, number, line)) for number, line in texts]
    return Sample(path.name, hashlib.sha256(content).hexdigest(), tuple(text for _, text in texts))


def _parse_text(path: Path, number: int, line: str) -> str:
    try:
        text = json.loads(line)["text"]
    except (ValueError, KeyError, TypeError):
        text = None
    if not isinstance(text, str):
        raise DataError(f"{path}, line {number}: expected an object with a text")
    return text


def _parse_paragraph(line: str) -> tuple[Split, Example]:
    """A line of a file of stories and its split. Raises ValueError, KeyError or TypeError."""
    row = json.loads(line)
    story_id = STORY_ID.fullmatch(row["id"])
    if not story_id or not isinstance(row["text"], str):
        raise ValueError
    index = story_id["index"]
    split: Split = "test" if index in STORY_TEST else "dev" if index in STORY_DEV else "train"
    return split, Example(row["text"], _target([row["emotion"]]))


def _lines(content: str) -> Iterator[tuple[int, str]]:
    """Numbered lines. Only line feeds end a line; splitlines() also splits at other characters."""
    return enumerate(content.removesuffix("\n").split("\n"), 1)


def _target(emotions: Iterable[str]) -> tuple[float, ...]:
    indices = {EMOTIONS.index(emotion) for emotion in emotions}
    return tuple(1.0 / len(indices) if index in indices else 0.0 for index in range(len(EMOTIONS)))


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; model/CARD.md says where to find the data") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {error}") from None
