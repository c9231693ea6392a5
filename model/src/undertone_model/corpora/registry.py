"""All corpora that `undertone-model evaluate` reads."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from undertone_model.corpora import emolit, empathetic, isear, reman, tales, xed
from undertone_model.corpora.corpus import Corpus, TestSet
from undertone_model.corpora.plutchik import PLUTCHIK
from undertone_model.data import Dataset, Split, load_goemotions, load_stories
from undertone_model.emotions import EMOTIONS


def _read(dataset: Dataset) -> Iterator[tuple[str, list[str]]]:
    """Texts of a data set whose labels are mapped already."""
    for example in dataset.examples:
        yield example.text, [emotion for emotion, share in zip(EMOTIONS, example.target, strict=True) if share]


_NINE: Final = {emotion: emotion for emotion in EMOTIONS}

CORPORA: Final = {
    corpus.name: corpus
    for corpus in (
        Corpus(
            name="stories",
            title="Story paragraphs",
            license="Apache-2.0",
            place="a folder of .jsonl files; the test split is evaluated",
            fiction=True,
            mapping=_NINE,
            read=lambda folder, split: _read(load_stories(folder, split or "test")),
        ),
        Corpus(
            name="goemotions",
            title="GoEmotions",
            license="Apache-2.0",
            place="a folder with test.tsv and labels.txt",
            fiction=False,
            mapping=_NINE,
            read=lambda folder, split: _read(load_goemotions(folder, split or "test")),
        ),
        Corpus(
            name="reman",
            title="REMAN",
            license="CC BY 4.0",
            place="reman-version1.0.xml, or a .tsv file with id, author, book, emotions, sentence and passage",
            fiction=True,
            mapping=reman.MAPPING,
            read=reman.read,
        ),
        Corpus(
            name="xed",
            title="XED",
            license="CC BY 4.0",
            place="en-annotated.tsv, or a .tsv file with emotions and text",
            fiction=False,
            mapping=PLUTCHIK,
            read=xed.read,
        ),
        Corpus(
            name="tales",
            title="Tales",
            license="GNU GPL",
            place="the folder of the authors' folders, with .emmood files",
            fiction=True,
            mapping=tales.MAPPING,
            read=lambda folder, _: tales.read(folder),
        ),
        Corpus(
            name="emolit",
            title="EmoLit",
            license="CC BY-SA 4.0",
            place="gold.tsv",
            fiction=True,
            mapping=emolit.MAPPING,
            read=lambda path, _: emolit.read(path),
        ),
        Corpus(
            name="isear",
            title="ISEAR",
            license="CC BY-NC-SA 3.0",
            place="isear.csv, with columns separated by vertical bars",
            fiction=False,
            mapping=isear.MAPPING,
            read=lambda path, _: isear.read(path),
        ),
        Corpus(
            name="empathetic",
            title="EmpatheticDialogues",
            license="CC BY-NC 4.0",
            place="test.csv",
            fiction=False,
            mapping=empathetic.MAPPING,
            read=lambda path, _: empathetic.read(path),
        ),
    )
}
"""Corpora by name. `mapping` of GoEmotions is in `emotions.py`."""


def read_test_set(name: str, path: Path, *, all_rows: bool = False) -> TestSet:
    """The texts of the corpus `name` in `path`: its test split, if `train` reads the corpus.

    With `all_rows`, the rows of the other splits of REMAN and XED are read too. Raises DataError.
    """
    split: Split | None = None if all_rows else "test"
    test_set = CORPORA[name].test_set(path, split)
    # The XML file of REMAN has other texts than a .tsv file: figures of the two differ.
    return replace(test_set, name="reman passages") if name == "reman" and path.suffix == ".xml" else test_set
