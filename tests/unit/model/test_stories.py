"""The packaged story paragraphs: number, splits and independence of the test split."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from undertone_model.data import PACKAGED_STORIES, Split, load_stories
from undertone_model.emotions import EMOTIONS

DATA = Path(__file__).parents[3] / "model" / "data"
SPLITS: tuple[Split, ...] = ("train", "dev", "test")


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted((PACKAGED_STORIES).glob("*.jsonl")) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def texts() -> dict[str, list[str]]:
    return {split: [example.text for example in load_stories(PACKAGED_STORIES, split).examples] for split in SPLITS}


def shingles(text: str, size: int = 8) -> set[tuple[str, ...]]:
    words = re.findall(r"[\w']+", text.lower())
    return {tuple(words[start : start + size]) for start in range(len(words) - size + 1)}


def test_every_emotion_has_enough_paragraphs(rows: list[dict[str, Any]]) -> None:
    counts = Counter(row["emotion"] for row in rows)
    assert len(rows) >= 540
    assert {emotion: counts[emotion] >= 60 for emotion in EMOTIONS} == dict.fromkeys(EMOTIONS, True)


def test_paragraphs_have_15_to_150_words(rows: list[dict[str, Any]]) -> None:
    assert [row["id"] for row in rows if not 15 <= len(row["text"].split()) <= 150] == []


def test_ids_and_texts_are_unique_and_ids_contain_genre_and_emotion(rows: list[dict[str, Any]]) -> None:
    assert len({row["id"] for row in rows}) == len(rows)
    assert len({row["text"] for row in rows}) == len(rows)
    assert [row["id"] for row in rows if not row["id"].startswith(f"{row['genre']}/{row['emotion']}/")] == []


def test_a_fifth_of_every_emotion_is_in_the_test_split(rows: list[dict[str, Any]], texts: dict[str, list[str]]) -> None:
    in_test = Counter(example.label for example in load_stories(PACKAGED_STORIES, "test").examples)
    everything = Counter(EMOTIONS.index(row["emotion"]) for row in rows)
    assert len(texts["test"]) == pytest.approx(len(rows) / 5, rel=0.02)
    assert {label: in_test[label] / everything[label] for label in everything} == {
        label: pytest.approx(0.2, abs=0.02) for label in range(len(EMOTIONS))
    }


def test_every_paragraph_is_in_exactly_one_split(rows: list[dict[str, Any]], texts: dict[str, list[str]]) -> None:
    assert Counter(text for split in texts.values() for text in split) == Counter(row["text"] for row in rows)


def test_test_split_shares_no_phrase_with_the_other_splits(texts: dict[str, list[str]]) -> None:
    known = set().union(*(shingles(text) for split in ("train", "dev") for text in texts[split]))
    assert [shared for text in texts["test"] if (shared := shingles(text) & known)] == []


def test_few_paragraphs_name_their_emotion(rows: list[dict[str, Any]]) -> None:
    named = [row["id"] for row in rows if re.search(rf"\b{row['emotion']}", row["text"], re.IGNORECASE)]
    assert len(named) < len(rows) / 20


def test_demo_has_enough_stories_and_paragraphs() -> None:
    stories = {path.name: re.split(r"\n\s*\n", path.read_text().strip()) for path in (DATA / "demo").glob("*.txt")}
    assert len(stories) >= 6
    assert sum(map(len, stories.values())) >= 150


def test_demo_shares_no_phrase_with_the_data_set(texts: dict[str, list[str]]) -> None:
    known = set().union(*(shingles(text, 10) for split in texts.values() for text in split))
    assert [path.name for path in (DATA / "demo").glob("*.txt") if shingles(path.read_text(), 10) & known] == []
