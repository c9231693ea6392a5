"""Texts without labels: passages of fiction, whose emotions a teacher answers (`soft_labels`)."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np

PASSAGE_WORDS: Final = (15, 30, 60, 100)
"""Most words of the passages of a paragraph. One of these is drawn for each paragraph."""

LINES_SHARE: Final = 0.5
"""Share of the lines of subtitles that are among the texts."""

_SENTENCE_END: Final = re.compile(r"(?<=[.!?…])\s+|(?<=[.!?…][\"”’'])\s+")


def unlabelled_texts(paragraphs: Iterable[str], lines: Sequence[str], random: np.random.Generator) -> list[str]:
    """The passages of all `paragraphs` and a share of `lines`, each text once, in random order."""
    texts = [
        passage
        for paragraph in paragraphs
        for passage in passages(paragraph, PASSAGE_WORDS[int(random.integers(len(PASSAGE_WORDS)))])
    ]
    texts += [lines[row] for row in random.permutation(len(lines))[: round(LINES_SHARE * len(lines))].tolist()]
    unique = list(dict.fromkeys(texts))
    return [unique[row] for row in random.permutation(len(unique)).tolist()]


def passages(paragraph: str, words: int) -> Iterator[str]:
    """Passages of whole sentences, of at most `words` words unless one sentence is longer.

    Together they have all words of the paragraph.
    """
    passage: list[str] = []
    length = 0
    for sentence in _SENTENCE_END.split(paragraph.strip()):
        added = len(sentence.split())
        if passage and length + added > words:
            yield " ".join(passage)
            passage, length = [], 0
        passage.append(sentence)
        length += added
    if length:
        yield " ".join(passage)
