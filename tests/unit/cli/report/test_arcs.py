"""Smoothed arcs, and the sentences about stories."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_cli.report.arcs import Course, default_bandwidth, describe_story, smooth
from undertone_cli.report.bins import Peak

sorted_positions = st.lists(st.integers(0, 3000), min_size=1, max_size=60, unique=True).map(sorted)


@st.composite
def courses(draw: st.DrawFn) -> Course:
    """Paragraphs with gaps, and a distribution over four labels at each."""
    positions = draw(sorted_positions)
    weights = draw(
        st.lists(st.lists(st.floats(0.001, 1), min_size=4, max_size=4), min_size=len(positions), max_size=len(positions))
    )
    rows = [[value / sum(row) for value in row] for row in weights]
    return Course(
        positions[0],
        positions[-1] - positions[0] + 1,
        positions,
        [1] * len(positions),
        [list(column) for column in zip(*rows, strict=True)],
    )


@settings(max_examples=40, deadline=None)
@given(courses(), st.floats(0.1, 500))
def test_every_point_of_an_arc_is_a_distribution(course: Course, bandwidth: float) -> None:
    arc = smooth(course, bandwidth=bandwidth, points=31)
    for point in zip(*arc, strict=True):
        assert sum(point) == pytest.approx(1, abs=1e-9)
    for values, column in zip(arc, course.means, strict=True):
        assert min(column) - 1e-9 <= min(values)
        assert max(values) <= max(column) + 1e-9


@settings(max_examples=25, deadline=None)
@given(st.integers(20, 2000), st.floats(0, 1), st.floats(0, 1), st.data())
def test_the_default_keeps_the_peak_of_a_scene(span: int, level: float, rest: float, data: st.DataObject) -> None:
    """A scene of four bandwidths reaches nine tenths of its height, however long the story."""
    length = min(span, round(4 * default_bandwidth(span)) + 1)
    start = data.draw(st.integers(0, span - length))
    values = [level if start <= place < start + length else rest for place in range(span)]
    course = Course(0, span, range(span), [1] * span, [values])
    [arc] = smooth(course, bandwidth=default_bandwidth(span), points=span)
    middle = arc[start + length // 2]
    assert abs(middle - rest) >= 0.9 * abs(level - rest) - 1e-9


def test_the_default_averages_a_smaller_share_of_a_longer_story() -> None:
    shares = [default_bandwidth(span) / span for span in (10, 30, 100, 1000, 10_000, 100_000)]
    assert shares == sorted(shares, reverse=True)
    assert default_bandwidth(3000) == pytest.approx(11, abs=0.1)
    assert default_bandwidth(3) < 1


def test_smoothing_follows_a_change() -> None:
    columns = [[1.0] * 24 + [0.0] * 24, [0.0] * 24 + [1.0] * 24]
    joy, sadness = smooth(Course(0, 48, range(48), [1] * 48, columns), bandwidth=2, points=49)
    assert joy[0] > 0.99
    assert sadness[-1] > 0.99
    assert joy[24] == pytest.approx(0.5, abs=0.02)
    assert joy == sorted(joy, reverse=True)


def describe(*labels: str, names: tuple[str, ...] = ("joy", "fear", "sadness", "neutral")) -> str:
    """The sentence for a story with one paragraph of each label, `fear!` being a stronger fear."""
    heights = [0.9 if label.endswith("!") else 0.7 for label in labels]
    rows = [
        [height if name == label.rstrip("!") else (1 - height) / (len(names) - 1) for name in names]
        for label, height in zip(labels, heights, strict=True)
    ]
    candidates = [(rows[place][i], -place, i) for place in range(len(rows)) for i in range(len(names)) if names[i] != "neutral"]
    height, place, label = max(candidates)
    course = Course(0, len(rows), range(len(rows)), [1] * len(rows), [list(column) for column in zip(*rows, strict=True)])
    return describe_story(course, names, Peak(-place, label, height), lambda found: f"paragraph {found}")


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (["joy"], "A single paragraph: joy 70%."),
        (["joy", "fear!"], "First paragraph: joy 70%. Last paragraph: fear 90%. Strongest paragraph: fear 90% in paragraph 1."),
        # The eighths have two paragraphs each. Their means are not smoothed.
        (
            ["joy", "joy!", *["fear"] * 12, "sadness", "joy"],
            "First eighth: joy 80% on average. Last eighth: joy 40% on average. Strongest paragraph: joy 90% in paragraph 1.",
        ),
        (["neutral", "joy"], "First paragraph: joy 10%. Last paragraph: joy 70%. Strongest paragraph: joy 70% in paragraph 1."),
    ],
)
def test_sentences_state_what_they_average(labels: list[str], sentence: str) -> None:
    assert describe(*labels) == sentence


def test_an_eighth_without_scores_is_named() -> None:
    course = Course(0, 80, [79.0], [1], [[0.6], [0.4]])
    sentence = describe_story(course, ["joy", "fear"], Peak(79, 0, 0.6), lambda place: f"paragraph {place}")
    assert sentence == "A single paragraph: joy 60%."
