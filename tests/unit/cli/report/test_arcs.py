"""Stories, bins and arcs."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_cli.report.arcs import MAX_BINS, bin_paragraphs, describe_arc, smooth, title_of

sorted_positions = st.lists(st.integers(0, 3000), min_size=1, max_size=60, unique=True).map(sorted)


@st.composite
def documents(draw: st.DrawFn) -> tuple[list[int], list[list[float]]]:
    """Positions with gaps, and a distribution over four labels at each, as columns."""
    positions = draw(sorted_positions)
    weights = draw(
        st.lists(st.lists(st.floats(0.001, 1), min_size=4, max_size=4), min_size=len(positions), max_size=len(positions))
    )
    rows = [[value / sum(row) for value in row] for row in weights]
    return positions, [list(column) for column in zip(*rows, strict=True)]


@settings(max_examples=40, deadline=None)
@given(documents())
def test_every_point_of_an_arc_is_a_distribution(
    document: tuple[list[int], list[list[float]]],
) -> None:
    positions, columns = document
    arc = smooth(bin_paragraphs(positions, columns), points=31)
    for point in zip(*arc.values, strict=True):
        assert sum(point) == pytest.approx(1, abs=1e-9)
    for values, column in zip(arc.values, columns, strict=True):
        assert min(column) - 1e-9 <= min(values)
        assert max(values) <= max(column) + 1e-9


@settings(max_examples=40, deadline=None)
@given(documents(), st.integers(1, 20))
def test_bins_keep_every_paragraph_and_the_means(document: tuple[list[int], list[list[float]]], limit: int) -> None:
    positions, columns = document
    bins = bin_paragraphs(positions, columns, limit=limit)
    assert len(bins) <= limit
    assert sum(each.count for each in bins) == len(positions)
    assert [bins[0].first, bins[-1].last] == [positions[0], positions[-1]]
    for label, column in enumerate(columns):
        total = sum(each.count * each.probabilities[label] for each in bins)
        assert total == pytest.approx(sum(column))


def test_short_story_has_one_paragraph_per_bin() -> None:
    bins = bin_paragraphs([3, 4, 9], [[0.1, 0.2, 0.3]])
    assert [(each.first, each.last, each.count) for each in bins] == [(3, 3, 1), (4, 4, 1), (9, 9, 1)]


def test_number_of_bins_is_limited() -> None:
    assert len(bin_paragraphs(range(10_000), [[0.5] * 10_000])) == MAX_BINS


def test_leading_label_of_a_bin() -> None:
    columns = [[0.75, 0.5, 0.5, 0.25], [0.25, 0.5, 0.5, 0.75]]
    assert [each.leading for each in bin_paragraphs(range(4), columns)] == [0, 0, 0, 1]
    assigned = [[], [1], [0, 1], [0]]
    assert [each.leading for each in bin_paragraphs(range(4), columns, assigned)] == [None, 1, 0, 0]
    assert [each.leading for each in bin_paragraphs(range(4), columns, assigned, limit=1)] == [0]
    assert [each.leading for each in bin_paragraphs(range(4), columns, [[], [1], [], [1]], limit=2)] == [1, 1]


def test_smoothing_follows_a_change() -> None:
    columns = [[1.0] * 24 + [0.0] * 24, [0.0] * 24 + [1.0] * 24]
    joy, sadness = smooth(bin_paragraphs(range(48), columns)).values
    assert joy[0] > 0.99
    assert sadness[-1] > 0.99
    assert joy[len(joy) // 2] == pytest.approx(0.5, abs=0.02)
    assert list(joy) == sorted(joy, reverse=True)


def test_positions_of_points_are_within_the_story() -> None:
    arc = smooth(bin_paragraphs([5, 6, 7, 8], [[0.5] * 4]), points=9)
    assert [arc.position(point) for point in range(9)] == [5, 5, 6, 6, 7, 7, 8, 8, 8]


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
def test_title_of(document: str, title: str) -> None:
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


def test_description_of_opening_peak_and_close() -> None:
    assert shape("joy", "fear!", "sadness").startswith("Opens in joy, peaks in fear around paragraph 1")
    assert shape("joy", "fear!", "sadness").endswith("and closes in sadness.")
    assert shape("joy!", "fear").startswith("Opens in joy, strongest around paragraph 1 (90%)")
    assert shape("joy", "fear!").startswith("Opens in joy and closes in fear, strongest around paragraph")
    assert shape("joy", "neutral!", "joy").startswith("Opens and closes in joy")
    assert shape("neutral", labels=("neutral", "joy")).startswith("Opens and closes in joy")


def test_description_of_a_single_paragraph() -> None:
    arc = smooth(bin_paragraphs([0], [[0.25], [0.75]]))
    assert describe_arc(arc, ["joy", "fear"]) == "A single paragraph, with fear at 75%."
