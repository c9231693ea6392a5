"""A server program on a loopback port, such as Redis, for a measurement or a test."""

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from undertone_bench.envoy import LOOPBACK
from undertone_bench.errors import BenchError
from undertone_bench.processes import stop

_POLL_SECONDS: Final = 0.01


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

    def start(self) -> None:
        """Starts the server. Returns when it listens.

        Raises:
            BenchError: The program ended before it listened.
        """
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(self._command, stdout=output, stderr=output)
        while self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, self.port), timeout=1):
                return
            time.sleep(_POLL_SECONDS)
        raise BenchError(f"{self._name} ended at its start:\n{self._log.read_text(errors='replace')}")

    def stop(self) -> None:
        """Stops the server. Calls fail until `start`."""
        if self._process:
            stop(self._process)
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
