"""SVG path data: whole numbers and relative steps, because a page holds hundreds of these."""

from collections.abc import Sequence
from itertools import pairwise


def line(values: Sequence[float], *, width: int, base: float, height: float) -> str:
    """A line over the full width; a value of 1 rises `height` above `base`."""
    steps = len(values) - 1
    points = [(round(width * i / steps), round(base - height * value)) for i, value in enumerate(values)]
    moves = "".join(f" {x2 - x1} {y2 - y1}" for (x1, y1), (x2, y2) in pairwise(points))
    return f"M{points[0][0]} {points[0][1]}l{moves.strip()}"


def area(values: Sequence[float], *, width: int, base: float, height: float) -> str:
    """The surface between `base` and the line of the same values."""
    return f"{line(values, width=width, base=base, height=height)}V{round(base)}H0z"


def stack(layers: Sequence[Sequence[float]], *, width: int, height: float) -> list[str]:
    """Areas of layers stacked upwards from the first, each reaching down to the base.

    To be painted last layer first, each covering the foot of the one before: no seams show, and half the data is needed.
    """
    sums = [0.0] * len(layers[0])
    paths = []
    for layer in layers:
        sums = [total + value for total, value in zip(sums, layer, strict=True)]
        paths.append(area(sums, width=width, base=height, height=height))
    return paths
