"""Readings: shares of emotions that runs of a large language model gave to passages of novels.

A file of readings has one passage per line: its key, source, split and shares. It has no texts: the
keys match the passages in the user's own copies of the novels.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from undertone_model.corpora import reman
from undertone_model.corpora.splits import words
from undertone_model.data import Dataset, Example, Split, load_sample
from undertone_model.emotions import EMOTIONS
from undertone_model.errors import DataError
from undertone_model.unlabelled import PASSAGE_WORDS, passages

READINGS: Final = "readings/novels.jsonl"
"""The file of readings in the folder of paragraphs of fiction."""

LICENSE: Final = "Apache-2.0 AND CC-BY-4.0"
"""Licences of the readings, and of the passages of REMAN. The novels are in the public domain."""

SPLITS: Final = ("train", "dev", "test")

MISSING_SHARE: Final = 0.05
"""Largest share of the passages of a source that may be missing: editions differ."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The emotions of one passage. `shares` has a number for each of EMOTIONS; their sum is 1.
    `passage` is the `passage_key` of its text.
    """

    passage: str
    source: str
    split: Split
    shares: tuple[float, ...]


def load_readings(path: Path, texts: Iterable[str], split: Split) -> Dataset:
    """The passages of a split whose texts are among `texts`.

    The hash of the data set is that of the file and the texts. Raises DataError if the file cannot
    be read, or if more than MISSING_SHARE of the passages of a source are missing.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
    readings = {reading.passage: reading for reading in _parse(path, content)}
    found = {key: text for text in texts if (key := passage_key(text)) in readings}
    # All splits are checked, because the dev and test splits are read only after the training.
    rows = Counter(reading.source for reading in readings.values())
    missing = Counter(reading.source for key, reading in readings.items() if key not in found)
    for source, count in sorted(missing.items()):
        if count > MISSING_SHARE * rows[source]:
            remedy = (
                "--reman must be the .tsv file that model/CARD.md describes"
                if source == "reman"
                else "add the file of its paragraphs with --novels; model/CARD.md says where to find it"
            )
            raise DataError(f"{count} of {rows[source]} passages of {source!r} in {path} are not among the texts: {remedy}")
    chosen = (reading for key, reading in readings.items() if reading.split == split and key in found)
    examples = tuple(Example(found[reading.passage], reading.shares) for reading in chosen)
    digest = hashlib.sha256(content)
    for example in examples:
        digest.update(example.text.encode())
    return Dataset(f"readings/{split}", LICENSE, digest.hexdigest(), examples)


def passage_key(text: str) -> str:
    """The key of a passage, which does not depend on its punctuation, case and white space."""
    return hashlib.sha256(words(text).encode()).hexdigest()[:16]


def passages_of_novels(reman_file: Path, novels: Sequence[Path]) -> Iterator[str]:
    """The texts that readings can belong to.

    They are the passages of REMAN and their sentences without labels, and the passages of each
    paragraph of `novels`, which are files as those of `load_sample`. The hash of a paragraph
    determines the length of its passages. Raises DataError.
    """
    for row in reman.read_passages(reman_file):
        before, _, after = row.passage.partition(row.sentence)
        yield from (row.passage, before.strip(), after.strip())
    for path in novels:
        for paragraph in load_sample(path).texts:
            number = int(hashlib.sha256(words(paragraph).encode()).hexdigest(), 16)
            yield from passages(paragraph, PASSAGE_WORDS[number % len(PASSAGE_WORDS)])


def _parse(path: Path, content: bytes) -> Iterator[Reading]:
    """The readings of a file. Raises DataError, with file and line."""
    for number, line in enumerate(content.decode(errors="replace").removesuffix("\n").split("\n"), 1):
        try:
            row = json.loads(line)
            emotions: dict[str, float] = row["emotions"]
            shares = [float(emotions.get(name, 0.0)) for name in EMOTIONS]
            total = sum(shares)
            if emotions.keys() - set(EMOTIONS) or min(shares) < 0 or not 0.99 < total < 1.01 or row["split"] not in SPLITS:
                raise ValueError
            if not isinstance(row["passage"], str) or not isinstance(row["source"], str):
                raise ValueError
            yield Reading(row["passage"], row["source"], row["split"], tuple(share / total for share in shares))
        except (ValueError, KeyError, TypeError, AttributeError):
            expected = "an object with passage, source, split and emotions, whose shares sum to 1"
            raise DataError(f"{path}, line {number}: expected {expected}") from None
