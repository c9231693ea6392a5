"""A server program on a loopback port, such as Redis, for a measurement or a test."""

import contextlib
import shutil
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from undertone_bench.envoy import LOOPBACK
from undertone_bench.processes import stop
from undertone_bench.readiness import START_SECONDS, wait_until_ready


def find_program(name: str, built: Path) -> Path | None:
    """The program on the PATH, or else the file `built`. None if both are missing."""
    found = shutil.which(name)
    if found:
        return Path(found)
    return built.absolute() if built.exists() else None


class LocalServer:
    """A program that listens on a port of 127.0.0.1 until it is stopped.

    Attributes:
        port: The TCP port.
    """

    port: int

    def __init__(self, name: str, port: int, command: Sequence[str], log: Path) -> None:
        """Creates a stopped server.

        Args:
            name: The name in errors, such as "Redis".
            port: The port on which `command` listens.
            command: The program with its options.
            log: File for the output of the program.
        """
        self.port = port
        self._name = name
        self._command = command
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, seconds: float = START_SECONDS) -> None:
        """Starts the server. Returns when it listens, at the latest after this time.

        Raises:
            BenchError: The program ended before it listened, or the time is over. It is stopped.
        """
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(self._command, stdout=output, stderr=output)
        try:
            wait_until_ready({self._name: self._process}, self._listens, self._log, seconds=seconds)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stops the server. Calls fail until `start`."""
        if self._process:
            stop(self._process)
            self._process = None

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, self.port), timeout=1):
            return True
        return False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
