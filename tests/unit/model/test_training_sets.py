"""Data sets of the second stage: splits, targets and errors."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from undertone_model.corpora import read_test_set
from undertone_model.corpora.splits import split_of_author, split_of_line
from undertone_model.data import PACKAGED_STORIES, Dataset, Example, Split
from undertone_model.emotions import EMOTIONS
from undertone_model.errors import DataError
from undertone_model.training_sets import TrainingSets, load_fiction, load_passages, load_sentences, load_subtitles, soften

SPLITS: tuple[Split, ...] = ("train", "dev", "test")
FICTION = Path(__file__).parents[3] / "model" / "data" / "fiction"
AUTHORS = tuple(f"Author {number}" for number in range(40))


def shares(**emotions: float) -> tuple[float, ...]:
    return tuple(emotions.get(name, 0.0) for name in EMOTIONS)


@pytest.fixture
def reman(tmp_path: Path) -> Path:
    """Two sentences by each author, the first without an emotion of ours."""
    rows = [
        f"{author}|{number}\t{author}\tBook {number}\t{labels}\tSentence {number} by {author}.\tPassage {number} by {author}.\n"
        for author in AUTHORS
        for number, labels in enumerate(("trust", "anger,fear,trust"))
    ]
    path = tmp_path / "reman.tsv"
    path.write_text("id\tauthor\tbook\temotions\tsentence\tpassage\n" + "".join(rows))
    return path


@given(st.text())
def test_split_depends_on_the_author_only(author: str) -> None:
    assert split_of_author(author) == split_of_author(f" {author} ")
    assert split_of_line(author) in SPLITS


def test_an_author_is_in_one_split_for_training_and_evaluation(reman: Path) -> None:
    texts = {split: {example.text for example in load_sentences(reman, split).examples} for split in SPLITS}
    assert sum(map(len, texts.values())) == len(AUTHORS)
    assert len(texts["train"]) > len(texts["test"]) > 0
    evaluated = {row.text for row in read_test_set("reman", reman).texts if row.emotions}
    assert evaluated == texts["test"]
    assert len(read_test_set("reman", reman, all_rows=True).texts) == 2 * len(AUTHORS)


def test_xml_of_reman_has_the_same_split(reman: Path) -> None:
    document = '<document doc_id="1" author="{0}"><text>Text of {0}</text><adjudicated><spans/></adjudicated></document>'
    path = reman.with_name("reman-version1.0.xml")
    path.write_text(f"<reman>{''.join(document.format(author) for author in AUTHORS)}</reman>")
    found = {row.text.removeprefix("Text of ") for row in read_test_set("reman", path).texts}
    assert found == {author for author in AUTHORS if split_of_author(author) == "test"}


def test_emotions_of_a_sentence_have_equal_shares_and_trust_is_dropped(reman: Path) -> None:
    for example in load_sentences(reman, "train").examples:
        assert example.target == shares(anger=0.5, fear=0.5)


def test_passages_have_softened_labels(reman: Path) -> None:
    (example, *_) = load_passages(reman, "train").examples
    assert example.text.startswith("Passage 1")
    assert sum(example.target) == pytest.approx(1)
    assert example.target[EMOTIONS.index("anger")] == pytest.approx(0.75 / 2 + 0.25 / 9)
    assert example.target[EMOTIONS.index("joy")] == pytest.approx(0.25 / 9)


def test_lines_of_subtitles_are_split_by_text(tmp_path: Path) -> None:
    path = tmp_path / "xed.tsv"
    lines = [f"joy,trust\tLine {number}" for number in range(200)]
    path.write_text("\n".join(["emotions\ttext", *lines, *lines, "trust\tI trust you"]) + "\n")
    texts = {split: [example.text for example in load_subtitles(path, split).examples] for split in SPLITS}
    assert sum(map(len, texts.values())) == 400
    assert not set(texts["train"]) & set(texts["test"])
    assert [row.text for row in read_test_set("xed", path).texts if row.emotions] == texts["test"]


def test_target_of_a_paragraph_joins_the_writer_and_the_reading(tmp_path: Path) -> None:
    rows = [
        {"id": "plain/001", "text": "a", "emotions": {"joy": 0.7, "love": 0.3}, "reading": ["love"]},
        {"id": "plain/002", "text": "b", "emotions": {"fear": 1.0}, "reading": ["fear", "anger"]},
        {"id": "plain/003", "text": "c", "emotions": {"neutral": 1.0}},
        {"id": "plain/008", "text": "d", "emotions": {"joy": 1.0}},
        {"id": "plain/019", "text": "e", "emotions": {"joy": 1.0}},
    ]
    (tmp_path / "plain.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    examples = load_fiction(tmp_path, "train").examples
    assert [example.text for example in examples] == ["a", "b", "c"]
    expected = [shares(joy=0.525, love=0.475), shares(fear=0.925, anger=0.075), shares(neutral=1.0)]
    assert [example.target for example in examples] == [pytest.approx(target) for target in expected]
    assert [example.text for split in SPLITS[1:] for example in load_fiction(tmp_path, split).examples] == ["d", "e"]


@pytest.mark.parametrize("split", SPLITS)
def test_our_texts_have_distributions_and_short_texts_are_a_set_of_their_own(split: Split) -> None:
    paragraphs, short_texts = (load_fiction(FICTION, split, short=short).examples for short in (False, True))
    for example in (*paragraphs, *short_texts):
        assert sum(example.target) == pytest.approx(1), example.text
    words = [np.mean([len(example.text.split()) for example in examples]) for examples in (paragraphs, short_texts)]
    assert words[0] > 2 * words[1]


def test_softened_targets_join_labels_and_answers() -> None:
    target = tuple(float(name == "fear") for name in EMOTIONS)
    answers = np.full((1, len(EMOTIONS)), 1 / len(EMOTIONS))
    (example,) = soften(Dataset("a", "b", "c", (Example("text", target),)), answers, 0.45).examples
    assert example.text == "text"
    assert sum(example.target) == pytest.approx(1)
    assert example.target[EMOTIONS.index("fear")] == pytest.approx(0.55 + 0.05)
    assert min(example.target) == pytest.approx(0.05)


def test_errors_name_the_line_and_the_place(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"contains no \.jsonl files; .* in model/data/fiction"):
        load_fiction(tmp_path, "train")
    path = tmp_path / "plain.jsonl"
    for row in ({"id": "a/x", "text": "a", "emotions": {}}, {"id": "a/1", "text": "a", "emotions": {"bliss": 1}}, ["text"]):
        path.write_text(json.dumps(row))
        with pytest.raises(DataError, match=r"plain\.jsonl, line 1: expected an object with id"):
            load_fiction(tmp_path, "train")


def test_only_given_data_sets_are_read(reman: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("joy")
    (tmp_path / "train.tsv").write_text("a\t0\tx\n")
    assert TrainingSets(tmp_path, PACKAGED_STORIES).load("train").keys() == {"goemotions", "stories"}
    sets = TrainingSets(tmp_path, PACKAGED_STORIES, fiction=FICTION, reman=reman)
    assert sets.load("train").keys() == {"goemotions", "stories", "fiction", "short_texts", "sentences", "passages"}
