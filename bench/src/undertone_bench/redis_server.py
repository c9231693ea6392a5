"""A Redis for a measurement or a test: it keeps nothing on disk."""

import contextlib
import shutil
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from undertone_bench.envoy import LOOPBACK
from undertone_bench.errors import BenchError
from undertone_bench.processes import free_ports, stop

BUILT: Final = Path("build/redis/redis-server")
"""Where .ci/redis puts the program, relative to the repository's root."""


def find_redis() -> Path | None:
    """The program: on the PATH, or unpacked by .ci/redis. None if it is missing."""
    found = shutil.which("redis-server")
    if found:
        return Path(found)
    return BUILT.absolute() if BUILT.exists() else None


class RedisServer:
    """Redis on a free port of 127.0.0.1.

    Attributes:
        port: The port.
        url: The value of --cache-redis.
    """

    def __init__(self, folder: Path, *options: str, tls: bool = False) -> None:
        """Creates a stopped server.

        Args:
            folder: An existing folder for the log.
            options: Options of redis-server, such as "--requirepass" and its value.
            tls: Whether the port uses TLS. `options` must then name the files.

        Raises:
            BenchError: Redis is not installed.
        """
        program = find_redis()
        if program is None:
            raise BenchError("redis-server is not on the PATH: run .ci/redis, or install Redis")
        (self.port,) = free_ports(1)
        self.url = f"{'rediss' if tls else 'redis'}://{LOOPBACK}:{self.port}"
        ports = ["--port", "0", "--tls-port", str(self.port)] if tls else ["--port", str(self.port)]
        self._log = folder / "redis.log"
        self._command: Sequence[str] = [
            *(str(program), *ports, "--bind", LOOPBACK, "--dir", str(folder)),
            *("--save", "", "--appendonly", "no", *options),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts the server without values. Returns when it listens."""
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(self._command, stdout=output, stderr=output)
        while self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, self.port), timeout=1):
                return
        raise BenchError(f"Redis ended at its start:\n{self._log.read_text(errors='replace')}")

    def kill(self) -> None:
        """Kills the server. `start` starts it again, without its values."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Stops the process (SIGSTOP): connections stay open, and nothing is answered."""
        if self._process:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Continues the process after `pause`."""
        if self._process:
            self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            self.resume()
            stop(self._process)
            self._process = None
