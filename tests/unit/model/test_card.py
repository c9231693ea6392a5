"""The tables of the model card and the packaged adapters state the same scores."""

import re
from pathlib import Path

import pytest
from undertone_model.adapters import LARGE_ADAPTERS, TENSORS_FILE, load_adapters
from undertone_model.bases import LARGE_BASE_SHA256
from undertone_model.evaluation.suites import SUITES, load_names, load_suite

CARD = Path(__file__).parents[3] / "model" / "CARD.md"


def rows(data: str, section: str = "## Scores") -> dict[str, list[float]]:
    """Accuracy, macro-F1 and ECE of each model in the first table of a test set in a section."""
    text = CARD.read_text("utf-8").partition(f"\n{section}\n")[2]
    table = re.search(rf"^\*\*{data} \(.*?\n\n(.*?)\n\n", text, re.MULTILINE | re.DOTALL)
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


@pytest.mark.parametrize("data", ["stories", "reman", "xed"])
def test_scores_are_those_of_the_large_adapters(data: str) -> None:
    adapters = load_adapters(LARGE_ADAPTERS)
    scores = {score.metric: score.value for score in adapters.scores if score.data == f"{data}/test@novels"}
    expected = [scores[metric] for metric in ("accuracy", "macro_f1", "expected_calibration_error")]
    # The table is that of an export, which has other roundings: a few labels differ.
    assert rows(data, "### A larger model")["emotions-large, export 1"] == pytest.approx(expected, abs=0.015)


def test_large_adapters_are_small_and_belong_to_the_packaged_base() -> None:
    assert (LARGE_ADAPTERS / TENSORS_FILE).stat().st_size < 12e6
    assert load_adapters(LARGE_ADAPTERS).base_sha256 == LARGE_BASE_SHA256


def test_suites_have_the_sizes_in_the_card() -> None:
    sizes = [len(load_suite(suite)) for suite in SUITES] + [len(load_names())]
    assert f"| {' / '.join(map(str, sizes))} | Apache-2.0 | test |" in CARD.read_text("utf-8")
