"""What the page says in words and numerals."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from undertone_cli.formatting import date_and_time, number, percent
from undertone_cli.report.arcs import bin_paragraphs, describe_arc, smooth, title_of
from undertone_cli.report.data import Emotion, describe_totals


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.0, "0%"), (0.001, "<1%"), (0.126, "13%"), (0.994, "99%"), (0.9951, ">99%"), (1.0, "100%")],
)
def test_percent(share: float, expected: str) -> None:
    assert percent(share) == expected


@pytest.mark.parametrize(("value", "expected"), [(0, "0"), (7, "7"), (7.25, "7.2"), (187.4, "187"), (1234567, "1,234,567")])
def test_number(value: float, expected: str) -> None:
    assert number(value) == expected


def test_moments_are_in_utc() -> None:
    assert date_and_time(datetime(2025, 3, 5, 0, 30, tzinfo=timezone(timedelta(hours=1)))) == "4 March 2025, 23:30 UTC"
    assert date_and_time(datetime(2025, 3, 5, 14, 7, tzinfo=UTC)) == "5 March 2025, 14:07 UTC"


@pytest.mark.parametrize(
    ("document", "title"),
    [
        ("the-ninth-stair", "The ninth stair"),
        ("chapter_2", "Chapter 2"),
        ("Emma", "Emma"),
        ("a--b", "a--b"),
        ("", ""),
        ("<script>", "<script>"),
    ],
)
def test_titles(document: str, title: str) -> None:
    assert title_of(document) == title


def shape(*moods: str, labels: tuple[str, ...] = ("joy", "fear", "sadness", "neutral")) -> str:
    """The sentence for a story with ten paragraphs of each mood, `fear!` being a stronger fear."""
    rows = []
    for mood in moods:
        strength = 0.9 if mood.endswith("!") else 0.7
        rest = (1 - strength) / (len(labels) - 1)
        rows += [[strength if label == mood.rstrip("!") else rest for label in labels]] * 10
    columns = [list(column) for column in zip(*rows, strict=True)]
    return describe_arc(smooth(bin_paragraphs(range(len(rows)), columns)), labels)


def test_sentences_tell_opening_peak_and_close() -> None:
    assert shape("joy", "fear!", "sadness").startswith("Opens in joy, peaks in fear around paragraph 1")
    assert shape("joy", "fear!", "sadness").endswith("and closes in sadness.")
    assert shape("joy!", "fear").startswith("Opens in joy, strongest around paragraph 1 (90%)")
    assert shape("joy", "fear!").startswith("Opens in joy and closes in fear, strongest around paragraph")
    assert shape("joy", "neutral!", "joy").startswith("Opens and closes in joy")
    assert shape("neutral", labels=("neutral", "joy")).startswith("Opens and closes in joy")


def test_a_single_paragraph_has_no_arc() -> None:
    arc = smooth(bin_paragraphs([0], [[0.25], [0.75]]))
    assert describe_arc(arc, ["joy", "fear"]) == "A single paragraph, with fear at 75%."


def test_the_run_in_a_sentence() -> None:
    many = [Emotion("joy", 1, 0.1, 0.2), Emotion("fear", 5, 0.5, 0.4), Emotion("love", 4, 0.4, 0.4)]
    assert describe_totals(many) == "Fear leads in 50% of the paragraphs, followed by love (40%) and joy (10%)."
    one = [Emotion("joy", 3, 1.0, 0.9), Emotion("fear", 0, 0.0, 0.1)]
    assert describe_totals(one) == "Joy leads in 100% of the paragraphs."
