"""Memory and CPU time of a process and its descendants, sampled while they run."""

import contextlib
import threading
from collections import Counter
from pathlib import Path
from typing import Final, Self

from undertone_bench.processes import ProcessUsage, child_processes

SAMPLE_SECONDS: Final = 0.25

PROGRAMS: Final = ("java", "python", "python3")
"""Names of the processes whose memory counts. A process that Java has forked, but that does not run
its own program yet, has the name of a thread, and shows the memory of Java a second time."""


class TreeUsage:
    """Samples the tree of a process in a thread.

    Attributes:
        peak_bytes: The highest sum of resident memory by program, such as java.
        total_peak_bytes: The highest sum of all programs.
        cpu_seconds: CPU time of all processes. Less disturbed by other programs than time is.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="memory", daemon=True)
        self.peak_bytes: Counter[str] = Counter()
        self.total_peak_bytes = 0
        self._cpu_seconds: dict[int, float] = {}

    @property
    def cpu_seconds(self) -> float:
        return sum(self._cpu_seconds.values())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            now: Counter[str] = Counter()
            pending = [self._pid]
            while pending:
                pid = pending.pop()
                with contextlib.suppress(OSError):  # the process has ended
                    program = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
                    usage = ProcessUsage.read(pid)
                    if program in PROGRAMS:
                        now[program] += usage.resident_bytes
                    self._cpu_seconds[pid] = usage.cpu_seconds
                    pending += child_processes(pid)
            self.peak_bytes |= now
            self.total_peak_bytes = max(self.total_peak_bytes, now.total())
