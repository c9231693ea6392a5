"""Quantiles of measured values."""

import math
from collections.abc import Sequence


def quantile(values: Sequence[float], share: float) -> float:
    """The quantile by nearest rank: the smallest value that this share does not exceed.

    Args:
        values: In any order.
        share: From 0, the minimum, to 1, the maximum.

    Returns:
        NaN without values.
    """
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
