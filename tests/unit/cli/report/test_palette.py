"""Colors are distinct, and text in them is readable."""

import math
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_cli.report.palette import DARK_FRAME, DARK_PAGE, LIGHT_FRAME, LIGHT_PAGE, emotion_indices, reading_order, tones

NINE = ["joy", "sadness", "anger", "fear", "anticipation", "surprise", "love", "disgust", "neutral"]


def luminance(color: str) -> float:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=30, unique=True))
def test_colors_have_the_contrast_of_wcag(labels: list[str]) -> None:
    for tone in [*tones(labels), *tones(NINE)]:
        for light, dark in ((LIGHT_PAGE, DARK_PAGE), (LIGHT_FRAME, DARK_FRAME)):
            assert contrast(tone.fill, light) >= 3
            assert contrast(tone.dark_fill, dark) >= 3
            assert contrast(tone.ink, light) >= 4.5
            assert contrast(tone.dark_ink, dark) >= 4.5


def test_emotions_have_equal_lightness() -> None:
    emotions = [luminance(tone.fill) for tone in tones([label for label in NINE if label != "neutral"])]
    assert max(emotions) - min(emotions) < 0.12


def test_fills_are_distinct() -> None:
    labels = [*NINE, "LABEL_0", "LABEL_1", "LABEL_2"]
    assert len({tone.fill for tone in tones(labels)}) == len(labels)


def test_the_first_labels_have_the_most_distinct_colors() -> None:
    labels = [*NINE, *(f"LABEL_{number}" for number in range(91))]
    first = [0, 8, *range(60, 70)]
    found = tones(labels, first)
    channels = [[int(found[i].fill[k : k + 2], 16) for k in (1, 3, 5)] for i in first]
    assert min(math.dist(one, other) for one, other in combinations(channels, 2)) > 20
    assert found[0] == tones(["joy"])[0]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["neutral", "anger", "Joy"], ["Joy", "anger", "neutral"]),
        (["b", "neutral", "a", "joy"], ["joy", "b", "a", "neutral"]),
        (["LABEL_1", "LABEL_0"], ["LABEL_1", "LABEL_0"]),
    ],
)
def test_reading_order(labels: list[str], expected: list[str]) -> None:
    assert reading_order(labels) == expected


def test_neutral_counts_only_without_other_labels() -> None:
    assert emotion_indices(["neutral", "joy"]) == [1]
    assert emotion_indices(["neutral"]) == [0]
