"""Numbers of several rounds as one."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np


@dataclass(frozen=True, slots=True)
class Spread:
    """Of the values of all rounds."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        """Raises StatisticsError if there is no value."""
        known = list(values)
        return cls(statistics.median(known), min(known, default=0.0), max(known, default=0.0))

    @classmethod
    def of_ratios(cls, ones: Sequence[float], others: Sequence[float]) -> Self:
        """Of each round's own ratio, so that what slows a whole round down cancels out. Raises ValueError if one is missing."""
        return cls.of(one / other for one, other in zip(ones, others, strict=True))

    def __format__(self, form: str) -> str:
        median, least, most = (f"{value:{form}}" for value in (self.median, self.least, self.most))
        return median if least == most else f"{median} ({least} to {most})"


def quantile(values: Sequence[float], part: float) -> float:
    """What `part` (0 up to 1) of the values do not exceed, interpolated between neighbours."""
    return float(np.quantile(np.asarray(values, dtype=np.float64), part))
