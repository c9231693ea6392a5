"""Two runs compared."""

from pathlib import Path

import pytest
from undertone_cli.report import write_report
from undertone_client.jobs import OutputError
from undertone_client.values import Model

from tests.unit.support.report_page import Charts, Document
from tests.unit.support.scored_folder import Point, ScoredFolder


def run(path: Path, point: Point, moods: dict[str, list[str]], version: int) -> Path:
    folder = ScoredFolder(path, model=Model("emotions", version, "fp32"))
    for document, labels in moods.items():
        for label in labels:
            folder.add(document, point(label))
    return folder.write()


@pytest.fixture
def older(tmp_path: Path, point: Point) -> Path:
    return run(tmp_path / "older", point, {"a": ["joy", "joy", "fear"], "b": ["love"] * 4, "c": ["joy"]}, 1)


def test_flips_and_shifts_are_shown_in_total_and_by_story(older: Path, tmp_path: Path, point: Point) -> None:
    newer = run(tmp_path / "newer", point, {"a": ["joy", "fear", "fear"], "b": ["love"] * 3 + ["fear"], "d": ["joy"]}, 2)
    page = write_report(newer, newer / "page.html", compare=older).read_text()
    words = Document(page).words
    assert "Compared with older The emotion of 2 paragraphs changed, 29% of those compared." in words
    assert "Before: emotions, version 1 (fp32, chunk-mean), 8 paragraphs. After: emotions, version 2" in words
    assert "7 paragraphs with the same id and the same text are compared" in words
    assert "joy fear 1 50%" in words
    assert "love fear 1 25%" in words
    # fear: 1 of 7 paragraphs before, 3 of 7 after
    assert f"fear {(0.8 + 6 * 0.025) / 7:.0%} {(3 * 0.8 + 4 * 0.025) / 7:.0%} +22.1 22%" in words
    assert "A 3 1 33%" in words
    assert "B 4 1 25%" in words
    assert words.index("A 3 1 33%") < words.index("B 4 1 25%")
    assert "joy → fear distance" in words
    charts = Charts(page)
    assert [story["changed"] for story in charts.stories] == [[1, 3], [1, 4], None]
    assert charts.integers("changed") == [0, 1, 0, 0, 0, 0, 1, 0]


def test_runs_of_the_same_scores_do_not_differ(older: Path) -> None:
    words = Document(write_report(older, older / "page.html", compare=older).read_text()).words
    assert "The emotion of no paragraph changed. The mean distance of the probabilities is 0%." in words
    assert "Most changed paragraphs" not in words


def test_runs_of_other_inputs_cannot_be_compared(older: Path, tmp_path: Path, point: Point) -> None:
    newer = run(tmp_path / "newer", point, {"x": ["joy"]}, 2)
    with pytest.raises(OutputError, match="have no paragraph with the same id and the same text"):
        write_report(newer, newer / "page.html", compare=older)
    with pytest.raises(OutputError, match=r"has no _run.json.*--compare"):
        write_report(newer, newer / "page.html", compare=tmp_path)
