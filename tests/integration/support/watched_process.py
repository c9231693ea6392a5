"""A sidecar with a watchdog of its event loop."""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, Final

from tests.integration.support.processes import Sidecar

_CALIBRATION_SECONDS: Final = 0.006
"""CPU time of the watchdog's calibration on a usual CPU."""


class WatchedSidecar(Sidecar):
    """Runs watched_sidecar.py."""

    def __init__(self, base: Path, model_server: str, *flags: str, log: Path) -> None:
        self._report = log.with_suffix(".json")
        self._reports = 0
        super().__init__(base, model_server, *flags, log=log)

    def start(self) -> None:
        program = Path(__file__).parent / "watched_sidecar.py"
        self._command = (sys.executable, str(program), str(self._report), *self._command[1:])
        super().start()

    def longest_callback(self) -> tuple[float, str]:
        """The longest callback since the last call of this method: its CPU seconds, and a name.

        The seconds are converted to those of a usual CPU.
        """
        self._reports += 1
        self.signal(signal.SIGUSR1)
        self.until(lambda: self._report.exists() and self._read()["number"] == self._reports, "the watchdog has reported")
        report = self._read()
        return report["seconds"] * _CALIBRATION_SECONDS / report["calibration_seconds"], report["callback"]

    def current_resident_bytes(self) -> int:
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def _read(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads(self._report.read_text())
        return report
