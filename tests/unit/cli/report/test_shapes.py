"""Paths say what the values say, to the tenth of a pixel."""

import re
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_cli.report.charts import area_path, line_path, stacked_paths

shares = st.lists(st.floats(0, 1), min_size=2, max_size=130)


def vertices(path: str) -> list[tuple[int, int]]:
    """The points of a path of one absolute move and relative lines."""
    numbers = [int(number) for number in re.findall(r"-?\d+", path.split("V")[0])]
    return list(zip(accumulate(numbers[::2]), accumulate(numbers[1::2]), strict=True))


@settings(max_examples=40, deadline=None)
@given(shares)
def test_a_line_passes_through_its_values(values: list[float]) -> None:
    points = vertices(line_path(values, width=1200, base=1000, height=1000))
    assert [points[0][0], points[-1][0]] == [0, 1200]
    assert [(1000 - y) / 1000 for _, y in points] == pytest.approx(values, abs=0.0005)


def test_an_area_returns_to_its_base() -> None:
    assert area_path([0.5, 0.5], width=10, base=100, height=100) == "M0 50l10 0V100H0z"


@settings(max_examples=40, deadline=None)
@given(shares)
def test_a_stack_of_distributions_fills_its_frame(values: list[float]) -> None:
    first, second = stacked_paths([values, [1 - value for value in values]], width=1200, height=1000)
    assert {y for _, y in vertices(second)} == {0}
    assert [(1000 - y) / 1000 for _, y in vertices(first)] == pytest.approx(values, abs=0.0005)
