"""CPU time of programs that do not belong to a measurement."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

_TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")
_IDLE: Final = (3, 4)
"""The columns idle and iowait of /proc/stat. The columns from 8 on repeat user and nice."""
_COLUMNS: Final = 8


class OtherPrograms:
    """Counts the CPU time that other programs, and other virtual machines, use from now on.

    The CPU time of child processes counts as that of this process once they have ended. So they
    must start after the creation of this object, and end before it is read.
    """

    def __init__(
        self,
        root: Path = Path("/"),
        own_seconds: Callable[[], float] = lambda: sum(os.times()[:4]),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`root` has /proc. `own_seconds` is that of this process and its ended children."""
        self._stat = root / "proc/stat"
        self._own_seconds = own_seconds
        self._clock = clock
        self._others = self._other_seconds()
        self._started = clock()

    def cpus(self) -> float:
        """The CPUs that they used, on average. Time that the hypervisor took away is included."""
        return max(0.0, (self._other_seconds() - self._others) / max(self._clock() - self._started, 1e-9))

    def _other_seconds(self) -> float:
        line = self._stat.read_text(encoding="ascii").partition("\n")[0]
        columns = [int(column) for column in line.split()[1:]][:_COLUMNS]
        busy = sum(ticks for index, ticks in enumerate(columns) if index not in _IDLE)
        return busy / _TICKS_PER_SECOND - self._own_seconds()
