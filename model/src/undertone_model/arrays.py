"""Arrays by name."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

NamedArrays: TypeAlias = dict[str, NDArray[np.float32]]
"""Weights by name."""
