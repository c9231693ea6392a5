"""Soft labels: passages without labels, the file of a teacher's answers, and its continuation."""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from undertone_model.emotions import EMOTIONS
from undertone_model.errors import DataError
from undertone_model.soft_labels import TEXTS_PER_WRITE, load_soft_labels, write_soft_labels
from undertone_model.unlabelled import LINES_SHARE, PASSAGE_WORDS, passages, unlabelled_texts

SENTENCES = st.lists(st.lists(st.sampled_from(("sea", "“Oh", "night")), min_size=1, max_size=9), min_size=1, max_size=9)


@given(SENTENCES, st.sampled_from((".", "!", "?”", "…")), st.integers(1, 20))
def test_passages_have_all_words_and_whole_sentences(sentences: list[list[str]], end: str, words: int) -> None:
    paragraph = " ".join(" ".join(sentence) + end for sentence in sentences)
    found = list(passages(paragraph, words))
    assert " ".join(found) == paragraph
    longest = max(map(len, sentences))
    for passage in found:
        assert passage.endswith(end)
        assert len(passage.split()) <= max(words, longest)
    # Two passages that fit into one are one.
    for first, second in pairwise(found):
        following = second.split(end)[0]
        assert len(first.split()) + len(following.split()) > words


def test_texts_are_passages_of_all_paragraphs_and_a_share_of_the_lines() -> None:
    paragraphs = [f"Paragraph {number}. " + "One two three four. " * 40 for number in range(20)]
    lines = [f"line {number}" for number in range(30)]
    texts = unlabelled_texts(paragraphs, lines, np.random.default_rng(1))
    assert len(texts) == len(set(texts))
    assert len(set(lines) & set(texts)) == LINES_SHARE * 30
    assert {text.split(". ")[0] for text in texts if text.startswith("P")} == {f"Paragraph {number}" for number in range(20)}
    assert max(len(text.split()) for text in texts) <= max(PASSAGE_WORDS)
    assert texts == unlabelled_texts(paragraphs, lines, np.random.default_rng(1))
    assert texts != unlabelled_texts(paragraphs, lines, np.random.default_rng(2))


class Teacher:
    """Answers with shares that depend on the text, and is ended after some calls."""

    def __init__(self, calls: int = 99) -> None:
        self.calls, self.asked = calls, list[str]()

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float64]:
        if not self.calls:
            raise KeyboardInterrupt
        self.calls -= 1
        self.asked += texts
        return np.array([np.roll([0.6, 0.2, *[0.2 / 7] * 7], int(text.split()[1])) for text in texts])


TEXTS = [f"text {number}" for number in range(2 * TEXTS_PER_WRITE + 5)]


def test_a_command_that_was_ended_asks_only_for_the_missing_texts(tmp_path: Path) -> None:
    whole, path = tmp_path / "whole.jsonl", tmp_path / "new" / "soft.jsonl"
    reports = list[int]()
    write_soft_labels(whole, ["a"], TEXTS, Teacher(), reports.append)
    assert reports == [TEXTS_PER_WRITE, 2 * TEXTS_PER_WRITE, len(TEXTS)]

    with pytest.raises(KeyboardInterrupt):
        write_soft_labels(path, ["a"], TEXTS, Teacher(calls=1), reports.append)
    # A process that is killed can leave half a line.
    path.write_bytes(path.read_bytes()[:-9])
    second = Teacher()
    write_soft_labels(path, ["a"], TEXTS, second, reports.append)
    assert second.asked == TEXTS[TEXTS_PER_WRITE - 1 :]
    assert reports[-1] == len(TEXTS)
    assert path.read_bytes() == whole.read_bytes()


def test_loaded_shares_are_those_of_the_teacher(tmp_path: Path) -> None:
    path = tmp_path / "soft.jsonl"
    write_soft_labels(path, ["a"], TEXTS[:3], Teacher(), lambda texts: None)
    dataset = load_soft_labels(path)
    assert [example.text for example in dataset.examples] == TEXTS[:3]
    assert [example.label for example in dataset.examples] == [0, 1, 2]
    for example in dataset.examples:
        assert sum(example.target) == pytest.approx(1)
        assert max(example.target) == pytest.approx(0.6, abs=1e-3)


def test_errors_name_the_line_and_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "soft.jsonl"
    with pytest.raises(DataError, match=r"cannot read .* No such file"):
        load_soft_labels(path)
    write_soft_labels(path, ["a"], [], Teacher(), lambda texts: None)
    with pytest.raises(DataError, match="contains no texts; write it with `undertone-model soft-labels`"):
        load_soft_labels(path)
    with pytest.raises(DataError, match="answers of other teachers; delete it, or use another --out"):
        write_soft_labels(path, ["b"], TEXTS, Teacher(), lambda texts: None)
    header = path.read_text()
    for shares in ([1.0], [2.0] * len(EMOTIONS), [-1.0, 2.0, *[0.0] * 7], "x"):
        path.write_text(header + json.dumps({"text": "a", "shares": shares}) + "\n")
        with pytest.raises(DataError, match=r"soft\.jsonl, line 2: expected an object with a text and its 9 shares"):
            load_soft_labels(path)
    path.write_text("[]\n")
    with pytest.raises(DataError, match=r"line 1: expected an object with the teachers"):
        load_soft_labels(path)
