"""Binning and smoothing keep what a distribution is."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_cli.report.arcs import MAX_BINS, bin_paragraphs, smooth

positions = st.lists(st.integers(0, 3000), min_size=1, max_size=60, unique=True).map(sorted)


@st.composite
def documents(draw: st.DrawFn) -> tuple[list[int], list[list[float]]]:
    """Positions with gaps, and a distribution over four labels at each, as columns."""
    places = draw(positions)
    weights = draw(st.lists(st.lists(st.floats(0.001, 1), min_size=4, max_size=4), min_size=len(places), max_size=len(places)))
    rows = [[value / sum(row) for value in row] for row in weights]
    return places, [list(column) for column in zip(*rows, strict=True)]


@settings(max_examples=40, deadline=None)
@given(documents())
def test_every_point_of_an_arc_is_a_distribution_within_the_range_of_the_paragraphs(
    document: tuple[list[int], list[list[float]]],
) -> None:
    places, columns = document
    arc = smooth(bin_paragraphs(places, columns), points=31)
    for point in zip(*arc.values, strict=True):
        assert sum(point) == pytest.approx(1, abs=1e-9)
    for values, column in zip(arc.values, columns, strict=True):
        assert min(column) - 1e-9 <= min(values)
        assert max(values) <= max(column) + 1e-9


@settings(max_examples=40, deadline=None)
@given(documents(), st.integers(1, 20))
def test_bins_lose_no_paragraph_and_keep_their_means(document: tuple[list[int], list[list[float]]], limit: int) -> None:
    places, columns = document
    bins = bin_paragraphs(places, columns, limit=limit)
    assert len(bins) <= limit
    assert sum(bin_.count for bin_ in bins) == len(places)
    assert [bins[0].first, bins[-1].last] == [places[0], places[-1]]
    for label, column in enumerate(columns):
        total = sum(bin_.count * bin_.probabilities[label] for bin_ in bins)
        assert total == pytest.approx(sum(column))


def test_a_short_story_is_not_binned() -> None:
    bins = bin_paragraphs([3, 4, 9], [[0.1, 0.2, 0.3]])
    assert [(bin_.first, bin_.last, bin_.count) for bin_ in bins] == [(3, 3, 1), (4, 4, 1), (9, 9, 1)]


def test_a_long_story_is_binned() -> None:
    assert len(bin_paragraphs(range(10_000), [[0.5] * 10_000])) == MAX_BINS


def test_smoothing_follows_a_change_of_mood() -> None:
    columns = [[1.0] * 24 + [0.0] * 24, [0.0] * 24 + [1.0] * 24]
    joy, sadness = smooth(bin_paragraphs(range(48), columns)).values
    assert joy[0] > 0.99
    assert sadness[-1] > 0.99
    assert joy[len(joy) // 2] == pytest.approx(0.5, abs=0.02)
    assert list(joy) == sorted(joy, reverse=True)


def test_points_lie_within_the_paragraphs() -> None:
    arc = smooth(bin_paragraphs([5, 6, 7, 8], [[0.5] * 4]), points=9)
    assert [arc.position(point) for point in range(9)] == [5, 5, 6, 6, 7, 7, 8, 8, 8]
