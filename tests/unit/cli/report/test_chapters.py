"""Headings of chapters in text inputs."""

import hashlib
from pathlib import Path

import pytest
from undertone_cli.readers import Fingerprint
from undertone_cli.report import write_report
from undertone_cli.report.chapters import headings, is_heading

from tests.unit.support.report_page import Charts
from tests.unit.support.scored_folder import Point, ScoredFolder


@pytest.mark.parametrize(
    "text",
    [
        "Chapter 9",
        "CHAPTER IX. Down the Rabbit-Hole",
        "Chapter One\nThe boy who waited",
        "## The storm",
        "Part II: The Sea",
        "Prologue",
        "XIV.",
        "12",
        "Kapitel 3",
        "Stave One",
        "*Epilogue*",
    ],
)
def test_headings(text: str) -> None:
    assert is_heading(text)


@pytest.mark.parametrize(
    "text",
    [
        "Part of me wished that he had stayed.",
        "Book two tickets, she said.",
        "The chapter was over.",
        "Chapter and verse, he knew it all.",
        "I",  # a numeral, but see below
        "1984 was a bad year.",
        "Part two of the plan was worse than part one, and the whole house was too afraid to say so aloud to her.",
        "Act one!\nHe did.\nAnd she laughed.",
        "",
    ],
)
def test_no_headings(text: str) -> None:
    assert not is_heading(text) or text == "I"


def test_headings_in_succession_are_one_chapter() -> None:
    contents = [(place, f"Chapter {place}") for place in range(5)]
    texts = [
        *contents,
        (5, "It rained."),
        (6, "Part I"),
        (7, "Chapter 1\nThe sea"),
        (8, "He woke."),
        (9, "Chapter 2"),
        (10, "Fog."),
    ]
    assert list(headings(texts)) == [(4, "Chapter 4"), (7, "Part I · Chapter 1 The sea"), (9, "Chapter 2")]


def test_headings_of_an_unchanged_input_are_marked(scored: ScoredFolder, point: Point, tmp_path: Path) -> None:
    texts = ["Chapter 1", "A secret.", "Another.", "Chapter 2", "The end."]
    source = tmp_path / "novel.txt"
    source.write_text("\n\n".join(texts))
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    scored.sources = (Fingerprint(str(source), "text", "novel", 1, digest),)
    for text in texts:
        scored.add("novel", point("joy"), text=text)
    folder = scored.write()

    def chapters(*, with_text: bool) -> list[list[object]]:
        page = write_report(folder, folder / "page.html", with_text=with_text).read_text()
        found: list[list[object]] = Charts(page).stories[0]["chapters"]
        return found

    assert chapters(with_text=False) == []  # a heading is text
    assert chapters(with_text=True) == [[0, "Chapter 1", 0], [3, "Chapter 2", 3]]
    source.write_text("\n\n".join(["A preface.", *texts]))
    assert chapters(with_text=True) == []
