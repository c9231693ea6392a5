"""The recent share of the time in which a number of slots was in use."""

import math
from typing import Final

_HORIZON_CALLS: Final = 4.0
"""Durations of a call after which the past has lost two thirds of its weight."""


class BusyShare:
    """An exponentially weighted share of the time. 1 at the start."""

    def __init__(self) -> None:
        self._share = 1.0

    def add(self, seconds: float, *, busy: bool, call_seconds: float) -> None:
        """Adds `seconds` that were busy or not. `call_seconds` is the usual duration of a call."""
        self._share = self.after(seconds, busy=busy, call_seconds=call_seconds)

    def after(self, seconds: float, *, busy: bool, call_seconds: float) -> float:
        """The share with further `seconds` that were busy or not."""
        past = math.exp(-seconds / (_HORIZON_CALLS * call_seconds)) if call_seconds > 0 else 1.0
        return past * self._share + (1 - past) * busy
