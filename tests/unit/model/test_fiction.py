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
SUITES = PACKAGED_STORIES.parent / "suites"
PER_EMOTION = 224


def read(folder: Path, names: str = "*.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(folder.glob(names)) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def every_row() -> list[dict[str, Any]]:
    return read(FOLDER)


@pytest.fixture(scope="module")
def rows(every_row: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The paragraphs, without the short texts."""
    return [row for row in every_row if not row["id"].startswith("short/")]


@pytest.fixture(scope="module")
def short() -> list[dict[str, Any]]:
    return read(FOLDER, "short.jsonl")


def emotion(row: dict[str, Any]) -> str:
    emotions: dict[str, float] = row["emotions"]
    return max(emotions, key=emotions.__getitem__)


def share(rows: list[dict[str, Any]], name: str, condition: Callable[[dict[str, Any]], bool]) -> float:
    chosen = [condition(row) for row in rows if emotion(row) == name]
    return sum(chosen) / len(chosen)


def shingles(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"[\w']+", text.lower())
    return {tuple(words[start : start + 8]) for start in range(len(words) - 7)}


def test_emotions_are_a_distribution_and_readings_have_one_or_two(every_row: list[dict[str, Any]]) -> None:
    for row in every_row:
        assert sum(row["emotions"].values()) == pytest.approx(1.0), row["id"]
        assert set(row["emotions"]) | set(row["reading"]) <= set(EMOTIONS), row["id"]
        assert len(row["reading"]) in (1, 2), row["id"]
        assert row["certainty"] in (1, 2, 3), row["id"]


def test_ids_and_texts_are_unique(every_row: list[dict[str, Any]]) -> None:
    assert len({row["id"] for row in every_row}) == len({row["text"] for row in every_row}) == len(every_row)


def test_each_emotion_has_as_many_paragraphs_and_at_least_a_hundred_short_texts(
    rows: list[dict[str, Any]], short: list[dict[str, Any]]
) -> None:
    assert Counter(map(emotion, rows)) == dict.fromkeys(EMOTIONS, PER_EMOTION)
    counts = Counter(map(emotion, short))
    assert min(counts[name] for name in EMOTIONS) >= 100


def test_texts_have_no_phrase_in_common_with_each_other_or_the_stories(rows: list[dict[str, Any]]) -> None:
    owners = {shingle: row["id"] for row in read(PACKAGED_STORIES) for shingle in shingles(row["text"])}
    for row in rows:
        phrases = shingles(row["text"])
        assert {owners[phrase] for phrase in phrases & owners.keys()} == set(), row["id"]
        owners |= dict.fromkeys(phrases, row["id"])


def test_short_texts_share_phrases_only_with_each_other_and_only_in_the_same_split(
    rows: list[dict[str, Any]], short: list[dict[str, Any]]
) -> None:
    """Minimal pairs share words on purpose, but a pair is never in two splits."""
    foreign = {phrase for row in [*rows, *read(PACKAGED_STORIES)] for phrase in shingles(row["text"])}
    foreign |= {phrase for path in SUITES.iterdir() for phrase in shingles(path.read_text())}
    splits: dict[tuple[str, ...], str] = {}
    for row in short:
        last = row["id"][-1]
        split = {"9": "test", "8": "dev"}.get(last, "train")
        phrases = shingles(row["text"])
        assert phrases & foreign == set(), row["id"]
        assert {splits.setdefault(phrase, split) for phrase in phrases} <= {split}, row["id"]


def test_paragraphs_have_13_to_175_words_and_short_texts_at_most_50(
    rows: list[dict[str, Any]], short: list[dict[str, Any]]
) -> None:
    assert [row["id"] for row in rows if not 13 <= len(row["text"].split()) <= 175] == []
    assert [row["id"] for row in short if len(row["text"].split()) > 50] == []


def test_places_of_short_texts_are_many(short: list[dict[str, Any]]) -> None:
    places = Counter(row["place"] for row in short)
    assert len(places) >= 36
    assert max(places.values()) < len(short) / 20


@pytest.mark.parametrize("name", EMOTIONS)
def test_neither_person_nor_dialogue_nor_punctuation_gives_the_emotion_away(rows: list[dict[str, Any]], name: str) -> None:
    assert share(rows, name, lambda row: row["person"] == "first") == pytest.approx(1 / 3, abs=0.02)
    assert share(rows, name, lambda row: row["tense"] == "past") == pytest.approx(2 / 3, abs=0.02)
    assert share(rows, name, lambda row: row["dialogue"] == "none") == pytest.approx(2 / 5, abs=0.02)
    assert 0.1 <= share(rows, name, lambda row: "!" in row["text"]) <= 0.35
    assert 0.25 <= share(rows, name, lambda row: "?" in row["text"]) <= 0.5


@pytest.mark.parametrize("name", EMOTIONS)
def test_the_form_of_a_short_text_does_not_give_its_emotion_away(short: list[dict[str, Any]], name: str) -> None:
    assert share(short, name, lambda row: row["person"] == "first") == pytest.approx(0.3, abs=0.06)
    assert share(short, name, lambda row: row["tense"] == "past") == pytest.approx(0.64, abs=0.05)
    assert share(short, name, lambda row: row["dialogue"] == "none") == pytest.approx(0.73, abs=0.09)
    assert 0.03 <= share(short, name, lambda row: "!" in row["text"]) <= 0.25
    assert 0.07 <= share(short, name, lambda row: "?" in row["text"]) <= 0.25


@pytest.mark.parametrize("name", EMOTIONS)
def test_negation_is_in_short_texts_of_every_emotion(short: list[dict[str, Any]], name: str) -> None:
    assert 0.15 <= share(short, name, lambda row: row["device"].startswith("negated")) <= 0.27


def test_the_blind_reading_agrees_with_the_writer(rows: list[dict[str, Any]]) -> None:
    assert sum(row["reading"][0] == emotion(row) for row in rows) / len(rows) > 0.9
    assert sum(bool(row["emotions"].keys() & set(row["reading"])) for row in rows) / len(rows) > 0.99
