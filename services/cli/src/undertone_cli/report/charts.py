"""Lines and areas of charts, as SVG path data.

All charts stretch to any width: x runs from 0 to `WIDTH`, y is in tenths of a CSS pixel. Paths have
integer coordinates and relative steps, which are short.
"""

from collections.abc import Sequence
from itertools import pairwise

WIDTH = 1200


def line_path(values: Sequence[float], *, width: int, base: float, height: float) -> str:
    """A line over the full width; the value 1 is `height` above `base`."""
    steps = len(values) - 1
    points = [(round(width * i / steps), round(base - height * value)) for i, value in enumerate(values)]
    moves = "".join(f" {x2 - x1} {y2 - y1}" for (x1, y1), (x2, y2) in pairwise(points))
    return f"M{points[0][0]} {points[0][1]}l{moves.strip()}"


def area_path(values: Sequence[float], *, width: int, base: float, height: float) -> str:
    """The area between `base` and the line through the values."""
    return f"{line_path(values, width=width, base=base, height=height)}V{round(base)}H0z"
