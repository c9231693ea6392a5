"""The report in a real browser."""

import math
from typing import Any

import pytest
from undertone_cli.readers import ReadOptions, RowTypes
from undertone_cli.report import write_report
from undertone_cli.report.arcs import Course, smooth

from tests.integration.browser.conftest import Steps
from tests.unit.support.scored_folder import LABELS, ScoredFolder


@pytest.fixture(scope="module")
def seen(steps: Steps, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the steps in report_steps.py found on a page of 30 tales and a novel."""
    folder = ScoredFolder(tmp_path_factory.mktemp("run"))
    folder.options, folder.types = ReadOptions(document_column="book", keep=("chapter",)), RowTypes("string", ("string",))
    for number in range(31):
        for position in range(900 if number == 30 else 5):
            label = "fear" if number == 30 else LABELS[number % 9]
            strength = 0.3 + 0.6 * math.sin(position / 30 + number) ** 2
            rest = (1 - strength) / 8
            probabilities = [strength if name == label else rest for name in LABELS]
            name = "the-novel" if number == 30 else f"tale-{number}"
            folder.add(name, probabilities, position=position, kept=(f"Chapter {position // 300 + 1}",))
    page = write_report(folder.write(), folder.path / "page.html")
    return steps("report_steps.py", page.as_uri())


@pytest.mark.parametrize("width", ["narrow", "wide"])
def test_the_page_is_accessible_fits_and_loads_nothing(seen: dict[str, Any], width: str) -> None:
    page = seen[width]
    assert page["violations"] == []
    assert page["overflow"] == 0
    assert page["messages"] == []
    assert len(page["requests"]) == 1


def test_all_stories_can_be_found(seen: dict[str, Any]) -> None:
    assert seen["stories"] == {
        "cards": [24, 31],
        "longest": "The novel",
        "matching": ["Tale 7", "Tale 17", "Tale 27"],
        "status": "3 of 3 matching stories",
        "chosen": "Tale 7",
        "next": "Tale 8",
    }


def test_an_arc_can_be_read_by_keyboard_and_links(seen: dict[str, Any]) -> None:
    reading = seen["reading"]
    assert reading["keys"] == [
        "Chapter 3: paragraph 899",
        "Chapter 3: paragraphs 897 to 898, mean of 2",
        "Chapter 1: paragraphs 0 to 1, mean of 2",
    ]
    assert reading["text"].startswith("Chapter 1: paragraphs 0 to 1, mean of 2: valence −0.")
    assert (reading["level"], reading["changed"]) == ("none: each group", True)
    assert reading["chapter"].startswith("Chapter 2: paragraph")
    assert f"{reading['title']}, {reading['linked'].lower()}" in reading["strongest"]


def test_the_script_smooths_as_the_library(seen: dict[str, Any]) -> None:
    arc = seen["arc"]
    story = arc["story"]
    course = Course(story["first"], story["last"] - story["first"] + 1, arc["center"], arc["count"], arc["means"])
    expected = smooth(course, bandwidth=story["bandwidth"], points=arc["points"])
    assert len(arc["values"]) == len(expected) == 9
    for values, wanted in zip(arc["values"], expected, strict=True):
        assert values == pytest.approx(wanted, abs=1e-9)
