"""Colors of labels: equal lightness and chroma, so that no label dominates; neutral is gray.

Areas and lines of charts have a contrast of at least 3:1 with the page and with the frames of
charts, words one of at least 4.5:1 (WCAG 2.2, criteria 1.4.11 and 1.4.3). The colors are chosen in
OKLCH (Björn Ottosson, *A perceptual color space for image processing*, 2020) and written as sRGB
hex.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

# In reading order: from positive to negative emotions.
_HUES = {
    "joy": 85.0,
    "love": 350.0,
    "anticipation": 58.0,
    "surprise": 195.0,
    "fear": 300.0,
    "sadness": 255.0,
    "anger": 27.0,
    "disgust": 132.0,
}
NEUTRAL = "neutral"
LIGHT_PAGE, LIGHT_FRAME = "#fbfaf7", "#f3f0ea"
DARK_PAGE, DARK_FRAME = "#181715", "#211f1c"
"""The backgrounds of the page and of its frames."""
_FIRST_HUE = 165.0


@dataclass(frozen=True, slots=True)
class Tone:
    """Colors of one label on a light and on a dark page: `fill` for areas, `ink` for words."""

    fill: str
    ink: str
    dark_fill: str
    dark_ink: str


def is_emotion(label: str) -> bool:
    """Whether the label is one of the known emotions. Neutral is none."""
    return label.lower() in _HUES


def reading_order(labels: Sequence[str]) -> list[str]:
    """The labels in the page's order: known ones, unknown ones as in the model, neutral."""
    known = list(_HUES)
    rank = {label: known.index(label.lower()) for label in labels if label.lower() in _HUES}
    return sorted(labels, key=lambda label: (label.lower() == NEUTRAL, rank.get(label, len(known))))


def emotion_indices(labels: Sequence[str]) -> list[int]:
    """Indices of all labels but neutral, unless it is the only one."""
    return [i for i, label in enumerate(labels) if label.lower() != NEUTRAL] or list(range(len(labels)))


def tones(labels: Sequence[str], first: Sequence[int] = ()) -> list[Tone]:
    """A tone for each label. Other labels than the known emotions get unused hues; neutral is gray.

    The more labels there are, the closer are the last hues. The labels with the indexes `first` get
    theirs first, and only the known emotions among them reserve their hues.
    """
    order = list(dict.fromkeys([*first, *range(len(labels))]))
    names = [label.lower() for label in labels]
    used = [_HUES[names[i]] for i in first or order if names[i] in _HUES]
    found: dict[int, Tone] = {}
    for i in order:
        if names[i] == NEUTRAL:
            found[i] = _NEUTRAL_TONE
            continue
        if (hue := _HUES.get(names[i])) is None:
            hue = _spare_hue(used)
            used.append(hue)
        found[i] = _tone(hue)
    return [found[i] for i in range(len(labels))]


def _spare_hue(used: Sequence[float]) -> float:
    """The middle of the widest gap between the used hues."""
    if not used:
        return _FIRST_HUE
    hues = sorted(set(used))
    gaps = [(after - before, before) for before, after in pairwise([*hues, hues[0] + 360])]
    width, start = max(gaps)
    return (start + width / 2) % 360


def _tone(hue: float) -> Tone:
    return Tone(
        fill=_hex(0.62, 0.13, hue),
        ink=_hex(0.48, 0.105, hue),
        dark_fill=_hex(0.68, 0.115, hue),
        dark_ink=_hex(0.80, 0.09, hue),
    )


def _hex(lightness: float, chroma: float, hue: float) -> str:
    """sRGB of an OKLCH color. A color out of gamut gets less chroma and keeps its lightness."""
    while True:
        channels = _linear_srgb(lightness, chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue)))
        if chroma < 1e-4 or all(-1e-3 <= channel <= 1.001 for channel in channels):
            return "#" + "".join(f"{round(255 * _gamma(min(1.0, max(0.0, channel)))):02x}" for channel in channels)
        chroma *= 0.97


def _linear_srgb(lightness: float, a: float, b: float) -> tuple[float, float, float]:
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )


def _gamma(channel: float) -> float:
    return 12.92 * channel if channel <= 0.0031308 else 1.055 * channel ** (1 / 2.4) - 0.055


_NEUTRAL_TONE = Tone(
    fill=_hex(0.635, 0.008, 80), ink=_hex(0.48, 0.008, 80), dark_fill=_hex(0.56, 0.008, 80), dark_ink=_hex(0.78, 0.008, 80)
)
