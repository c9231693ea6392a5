"""A Redis for a measurement or a test: it keeps nothing on disk."""

import signal
from pathlib import Path
from typing import Final

from undertone_bench.envoy import LOOPBACK
from undertone_bench.errors import BenchError
from undertone_bench.local_server import LocalServer, find_program
from undertone_bench.processes import free_ports

BUILT: Final = Path("build/redis/redis-server")
"""Where .ci/redis puts the program, relative to the repository's root."""


def find_redis() -> Path | None:
    """The program: on the PATH, or unpacked by .ci/redis. None if it is missing."""
    return find_program("redis-server", BUILT)


class RedisServer(LocalServer):
    """Redis on a free port of 127.0.0.1. Each start begins without values.

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
        (port,) = free_ports(1)
        self.url = f"{'rediss' if tls else 'redis'}://{LOOPBACK}:{port}"
        ports = ["--port", "0", "--tls-port", str(port)] if tls else ["--port", str(port)]
        command = [
            *(str(program), *ports, "--bind", LOOPBACK, "--dir", str(folder)),
            *("--save", "", "--appendonly", "no", *options),
        ]
        super().__init__("Redis", port, command, folder / "redis.log")

    def kill(self) -> None:
        """Kills the server (SIGKILL). `start` starts it again."""
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

    def stop(self) -> None:
        """Stops the server, also after `pause`."""
        self.resume()
        super().stop()
