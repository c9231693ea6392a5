"""Readings of passages of novels: keys, texts, missing novels, and the committed file."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from undertone_model.data import Split
from undertone_model.emotions import EMOTIONS
from undertone_model.errors import DataError
from undertone_model.readings import READINGS, load_readings, passage_key, passages_of_novels

FICTION = Path(__file__).parents[3] / "model" / "data" / "fiction"
HEADER = "id\tauthor\tbook\temotions\tsentence\tpassage\n"
PARAGRAPHS = [f"The {name} was calm. They talked about the {name}." for name in ("sea", "night", "house", "road")]


@pytest.fixture
def reman(tmp_path: Path) -> Path:
    path = tmp_path / "reman.tsv"
    path.write_text(HEADER + "1|2\tAn Author\tA Book\tjoy\tShe laughed aloud.\tIt rained. She laughed aloud. He left.\n")
    return path


@pytest.fixture
def novel(tmp_path: Path) -> Path:
    path = tmp_path / "novel.txt"
    path.write_text("\n".join(PARAGRAPHS) + "\n")
    return path


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def reading(text: str, source: str = "novel", split: str = "train", **emotions: float) -> dict[str, Any]:
    return {"passage": passage_key(text), "source": source, "split": split, "emotions": emotions or {"joy": 1.0}}


@given(st.lists(st.sampled_from(("Sea", "night,", "“Oh!”", "it’s")), min_size=1))
def test_keys_do_not_depend_on_case_space_and_punctuation(words: list[str]) -> None:
    text = " ".join(words)
    assert passage_key(text) == passage_key("  ".join(words).upper().replace(",", "; ") + ".")
    assert passage_key(text) != passage_key(text + " and more")


def test_sentences_of_reman_without_labels_are_passages(reman: Path) -> None:
    assert list(passages_of_novels(reman, [])) == ["It rained. She laughed aloud. He left.", "It rained.", "He left."]


def test_passages_of_a_paragraph_depend_on_that_paragraph_only(reman: Path, novel: Path, tmp_path: Path) -> None:
    texts = list(passages_of_novels(reman, [novel]))[3:]
    assert " ".join(texts) == " ".join(PARAGRAPHS)
    other = tmp_path / "other.txt"
    other.write_text("\n".join(reversed(PARAGRAPHS)) + "\n")
    assert set(texts) == set(list(passages_of_novels(reman, [other]))[3:])


def test_readings_of_a_split_have_the_texts_with_their_keys(tmp_path: Path) -> None:
    path = write(
        tmp_path / "readings.jsonl",
        reading("It rained.", sadness=0.7, neutral=0.3),
        reading("He left.", split="dev"),
    )
    dataset = load_readings(path, ["He left!", "it RAINED", "She stayed."], "train")
    (example,) = dataset.examples
    assert (dataset.name, example.text) == ("readings/train", "it RAINED")
    assert dict(zip(EMOTIONS, example.target, strict=True)) == dict.fromkeys(EMOTIONS, 0.0) | {"sadness": 0.7, "neutral": 0.3}
    (example,) = load_readings(path, ["He left!", "It rained."], "dev").examples
    assert example.text == "He left!"
    assert load_readings(path, ["He left.", "It rained."], "test").examples == ()


def test_missing_passages_of_any_split_are_an_error_before_the_training(tmp_path: Path) -> None:
    path = write(tmp_path / "readings.jsonl", reading("It rained."), reading("He left.", split="test"))
    with pytest.raises(DataError, match=r"1 of 2 passages of 'novel'"):
        load_readings(path, ["It rained."], "train")


def test_error_names_a_novel_whose_passages_are_missing(tmp_path: Path) -> None:
    texts = [f"Passage {number}." for number in range(40)]
    path = write(tmp_path / "readings.jsonl", *map(reading, texts), reading("Another one.", source="moby-dick"))
    # Two passages of forty may have other words in another edition.
    dataset = load_readings(path, [*texts[2:], "Another one."], "train")
    assert len(dataset.examples) == 39
    with pytest.raises(DataError, match=r"3 of 40 passages of 'novel' in .*readings\.jsonl .* with --novels"):
        load_readings(path, [*texts[3:], "Another one."], "train")
    with pytest.raises(DataError, match=r"1 of 1 passages of 'moby-dick'"):
        load_readings(path, texts, "train")
    path = write(path, reading("Another one.", source="reman"))
    with pytest.raises(DataError, match=r"1 of 1 passages of 'reman' .*: --reman must be the \.tsv file"):
        load_readings(path, texts, "train")


@pytest.mark.parametrize(
    "row",
    [
        {**reading("x"), "emotions": {"envy": 1.0}},
        {**reading("x"), "emotions": {"joy": 0.5}},
        {**reading("x"), "emotions": {"joy": 1.5, "love": -0.5}},
        {**reading("x"), "emotions": {"joy": float("nan")}},
        {**reading("x"), "split": "training"},
        {**reading("x"), "passage": ["x"]},
        {**reading("x"), "emotions": None},
        {"passage": "x"},
        [],
    ],
)
def test_malformed_line_is_named(tmp_path: Path, row: Any) -> None:
    path = write(tmp_path / "readings.jsonl", reading("x"), row)
    with pytest.raises(
        DataError, match=r"readings\.jsonl, line 2: expected an object with passage, source, split and emotions"
    ):
        load_readings(path, ["x"], "train")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*none\.jsonl: No such file"):
        load_readings(tmp_path / "none.jsonl", [], "train")


def test_committed_readings_are_distributions_with_unique_keys() -> None:
    rows = [json.loads(line) for line in (FICTION / READINGS).read_text().splitlines()]
    assert len({row["passage"] for row in rows}) == len(rows)
    assert {row["source"] for row in rows} == {"austen", "moby-dick", "reman"}
    splits: Counter[Split] = Counter(row["split"] for row in rows)
    assert splits["train"] > 10 * splits["dev"] > 0
    assert splits.keys() == {"train", "dev", "test"}
    for row in rows:
        assert len(row["passage"]) == 16
        assert sum(row["emotions"].values()) == pytest.approx(1.0)
        assert row["emotions"].keys() <= set(EMOTIONS)
        assert min(row["emotions"].values()) > 0


def test_hash_depends_on_the_texts_and_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "readings.jsonl", reading("It rained."), reading("He left."))
    first, same, other = (
        load_readings(path, texts, "train").sha256
        for texts in (["It rained.", "He left."], ["He left.", "It rained."], ["It rained!", "He left."])
    )
    assert first == same != other
    path = write(path, reading("It rained.", sadness=1.0), reading("He left."))
    assert load_readings(path, ["It rained.", "He left."], "train").sha256 != first
