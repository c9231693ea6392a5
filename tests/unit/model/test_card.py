"""The tables of the model card and the packaged adapters state the same scores."""

import re
from pathlib import Path

import pytest
from undertone_model.adapters import load_adapters
from undertone_model.evaluation.suites import SUITES, load_names, load_suite

CARD = Path(__file__).parents[3] / "model" / "CARD.md"


def rows(data: str) -> dict[str, list[float]]:
    """Accuracy, macro-F1 and ECE of each model in the table of a test set."""
    table = re.search(rf"^\*\*{data} \(.*?\n\n(.*?)\n\n", CARD.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert table
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table[1].splitlines()[2:]]
    return {row[0]: [float(value.split()[0]) for value in (row[1], row[2], row[4]) if value] for row in cells}


@pytest.mark.parametrize("data", ["stories", "goemotions", "reman", "xed"])
@pytest.mark.parametrize(
    ("row", "prior"),
    [("uncalibrated", "none"), *((f"prior {prior}", prior) for prior in ("comments", "stories", "novels"))],
)
def test_scores_are_those_of_the_packaged_adapters(data: str, row: str, prior: str) -> None:
    scores = {score.metric: score.value for score in load_adapters().scores if score.data == f"{data}/test@{prior}"}
    expected = [scores[metric] for metric in ("accuracy", "macro_f1", "expected_calibration_error")]
    # Sums in several threads differ in the last bit, and a label on the edge may flip.
    assert rows(data)[f"packaged, {row}"] == pytest.approx(expected, abs=0.0015)


def test_suites_have_the_sizes_in_the_card() -> None:
    sizes = [len(load_suite(suite)) for suite in SUITES] + [len(load_names())]
    assert f"| {' / '.join(map(str, sizes))} | Apache-2.0 | test |" in CARD.read_text("utf-8")
