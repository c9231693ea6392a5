"""Geometry of the page's charts. All stretch to any width: x runs from 0 to `WIDTH`, y is in tenths of a CSS pixel."""

from collections.abc import Sequence
from dataclasses import dataclass

from undertone_cli.report import shapes
from undertone_cli.report.arc import Arc, Bin
from undertone_cli.report.numerals import paragraph_number, percent

WIDTH = 1200
PITCH = 360
"""From one ridge's base to the next."""
HEADROOM = 260
"""How far the first ridge may reach above its row; the others reach as far into the row above."""
THUMB_HEIGHT = 1000

_FAINT = 0.5  # peaks below this are not drawn up to full height: faint emotions are to look faint
_SPACED = 64  # up to so many paragraphs, each is a mark of its own; beyond, the strip is a continuous band


@dataclass(frozen=True, slots=True)
class Ridge:
    """One emotion's row: the surface under its arc, and the arc."""

    area: str
    line: str


@dataclass(frozen=True, slots=True)
class Cell:
    """A paragraph, or a bin of them, in the strip: its leading emotion, and what there is to say about it."""

    x: int
    width: int
    first: int
    last: int
    leading: int
    percents: tuple[int, ...]
    title: str


@dataclass(frozen=True, slots=True)
class Ridgeline:
    """A row per emotion over the length of a story, and the strip of its paragraphs beneath."""

    height: int
    ridges: tuple[Ridge, ...]
    cells: tuple[Cell, ...]
    spaced: bool


def rise_for(peak: float) -> float:
    """How far a probability of 1 rises, so that the highest point of all arcs, `peak`, fits into its row."""
    return (PITCH + HEADROOM) / max(peak, _FAINT)


def ridgeline(arc: Arc, bins: Sequence[Bin], labels: Sequence[str], *, rise: float) -> Ridgeline:
    """The chart of one story; a probability of 1 rises `rise`."""
    ridges = []
    for row, values in enumerate(arc.values, start=1):
        base = HEADROOM + PITCH * row
        ridges.append(
            Ridge(
                area=shapes.area(values, width=WIDTH, base=base, height=rise),
                line=shapes.line(values, width=WIDTH, base=base, height=rise),
            )
        )
    cells = tuple(_cell(bin_, arc, labels) for bin_ in bins)
    return Ridgeline(HEADROOM + PITCH * len(labels) + 10, tuple(ridges), cells, spaced=len(cells) <= _SPACED)


def thumbnail(arc: Arc) -> list[str]:
    """Stacked surfaces of a story's emotions, first emotion lowest; every third point is enough at this size."""
    return shapes.stack([values[::3] for values in arc.values], width=WIDTH, height=THUMB_HEIGHT)


def _cell(bin_: Bin, arc: Arc, labels: Sequence[str]) -> Cell:
    span = arc.last - arc.first + 1
    start = round(WIDTH * (bin_.first - arc.first) / span)
    ranked = sorted(range(len(labels)), key=lambda i: -bin_.probabilities[i])
    strongest = ", ".join(f"{labels[i]} {percent(bin_.probabilities[i])}" for i in ranked[:3])
    return Cell(
        x=start,
        width=max(1, round(WIDTH * (bin_.last + 1 - arc.first) / span) - start),
        first=paragraph_number(bin_.first),
        last=paragraph_number(bin_.last),
        leading=ranked[0],
        percents=tuple(round(100 * probability) for probability in bin_.probabilities),
        title=f"{_where(bin_)}: {strongest}",
    )


def _where(bin_: Bin) -> str:
    if bin_.first == bin_.last:
        return f"Paragraph {paragraph_number(bin_.first)}"
    return f"Paragraphs {paragraph_number(bin_.first)}–{paragraph_number(bin_.last)}, mean"
