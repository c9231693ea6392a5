"""What processes have used, by the kernel's account."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds since the start, of all threads, and bytes resident now, of a process."""

    seconds: float
    resident: int

    @classmethod
    def of(cls, pid: int) -> Self:
        """Raises FileNotFoundError if there is no such process."""
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rsplit(")", 1)[1].split()
        found = re.search(r"^VmRSS:\s*(\d+) kB$", Path(f"/proc/{pid}/status").read_text(encoding="utf-8"), re.MULTILINE)
        return cls((int(fields[11]) + int(fields[12])) / _TICKS, int(found[1]) * 1024 if found else 0)


class CpuMeter:
    """CPU seconds of several processes from here on."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = pids
        self._before = {name: Usage.of(pid).seconds for name, pid in pids.items()}

    def read(self) -> dict[str, float]:
        """By the process's name."""
        return {name: Usage.of(pid).seconds - self._before[name] for name, pid in self._pids.items()}
