"""The paragraphs of fiction: their form, their balance and the agreement of their two readings."""

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from undertone_model.data import PACKAGED_STORIES
from undertone_model.emotions import EMOTIONS

FOLDER = Path(__file__).parents[3] / "model" / "data" / "fiction"
PER_EMOTION = 224


def read(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return read(FOLDER)


def emotion(row: dict[str, Any]) -> str:
    emotions: dict[str, float] = row["emotions"]
    return max(emotions, key=emotions.__getitem__)


def share(rows: list[dict[str, Any]], name: str, condition: Callable[[dict[str, Any]], bool]) -> float:
    chosen = [condition(row) for row in rows if emotion(row) == name]
    return sum(chosen) / len(chosen)


def shingles(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"[\w']+", text.lower())
    return {tuple(words[start : start + 8]) for start in range(len(words) - 7)}


def test_emotions_are_a_distribution_and_readings_have_one_or_two(rows: list[dict[str, Any]]) -> None:
    assert Counter(map(emotion, rows)) == dict.fromkeys(EMOTIONS, PER_EMOTION)
    for row in rows:
        assert sum(row["emotions"].values()) == pytest.approx(1.0), row["id"]
        assert set(row["emotions"]) | set(row["reading"]) <= set(EMOTIONS), row["id"]
        assert len(row["reading"]) in (1, 2), row["id"]
        assert row["certainty"] in (1, 2, 3), row["id"]


def test_ids_and_texts_are_unique(rows: list[dict[str, Any]]) -> None:
    assert len({row["id"] for row in rows}) == len({row["text"] for row in rows}) == len(rows)


def test_texts_have_no_phrase_in_common_with_each_other_or_the_stories(rows: list[dict[str, Any]]) -> None:
    owners = {shingle: row["id"] for row in read(PACKAGED_STORIES) for shingle in shingles(row["text"])}
    for row in rows:
        phrases = shingles(row["text"])
        assert {owners[phrase] for phrase in phrases & owners.keys()} == set(), row["id"]
        owners |= dict.fromkeys(phrases, row["id"])


def test_texts_have_13_to_175_words(rows: list[dict[str, Any]]) -> None:
    assert [row["id"] for row in rows if not 13 <= len(row["text"].split()) <= 175] == []


@pytest.mark.parametrize("name", EMOTIONS)
def test_neither_person_nor_dialogue_nor_punctuation_gives_the_emotion_away(rows: list[dict[str, Any]], name: str) -> None:
    assert share(rows, name, lambda row: row["person"] == "first") == pytest.approx(1 / 3, abs=0.02)
    assert share(rows, name, lambda row: row["tense"] == "past") == pytest.approx(2 / 3, abs=0.02)
    assert share(rows, name, lambda row: row["dialogue"] == "none") == pytest.approx(2 / 5, abs=0.02)
    assert 0.1 <= share(rows, name, lambda row: "!" in row["text"]) <= 0.35
    assert 0.25 <= share(rows, name, lambda row: "?" in row["text"]) <= 0.5


def test_the_blind_reading_agrees_with_the_writer(rows: list[dict[str, Any]]) -> None:
    assert sum(row["reading"][0] == emotion(row) for row in rows) / len(rows) > 0.9
    assert sum(bool(row["emotions"].keys() & set(row["reading"])) for row in rows) / len(rows) > 0.99
