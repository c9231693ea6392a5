"""The sidecar with a watchdog of its event loop, which measures the CPU time of each callback.

CPU time does not depend on the other processes of the machine, as elapsed time does.

Usage: watched_sidecar.py REPORT ARGUMENTS...
SIGUSR1 writes the longest callback since the previous SIGUSR1 to the file REPORT, as JSON.
"""

import asyncio
import json
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from undertone_sidecar.__main__ import main

CALIBRATION_STEPS = 200_000


class Watchdog:
    """The longest callback since the last report, in CPU seconds of its thread."""

    def __init__(self, report: Path) -> None:
        self._report = report
        self._number = 0
        self._longest = 0.0
        self._callback = ""

    def install(self) -> None:
        run = asyncio.events.Handle._run
        thread = threading.get_ident()

        def measured(handle: Any) -> None:
            number, started = self._number, time.thread_time()
            run(handle)
            seconds = time.thread_time() - started
            if self._number != number:
                return  # A report interrupted the callback, whose time includes the calibration.
            if seconds > self._longest and threading.get_ident() == thread:
                self._longest, self._callback = seconds, repr(handle)[:500]

        asyncio.events.Handle._run = measured  # type: ignore[assignment, method-assign]
        signal.signal(signal.SIGUSR1, lambda *_: self._write())

    def _write(self) -> None:
        self._number += 1
        report = {
            "number": self._number,
            "seconds": self._longest,
            "callback": self._callback,
            "calibration_seconds": min(calibration_seconds() for _ in range(3)),
        }
        temporary = self._report.with_suffix(".new")
        temporary.write_text(json.dumps(report))
        temporary.replace(self._report)
        self._longest, self._callback = 0.0, ""


def calibration_seconds() -> float:
    """CPU seconds of a fixed amount of work: 6 ms on a usual CPU of 2024."""
    started = time.thread_time()
    total = 0
    for step in range(CALIBRATION_STEPS):
        total += step
    return time.thread_time() - started


if __name__ == "__main__":
    Watchdog(Path(sys.argv[1])).install()
    sys.exit(main(sys.argv[2:]))
