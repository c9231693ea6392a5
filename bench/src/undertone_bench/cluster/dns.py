"""CoreDNS as the DNS server of the cluster."""

import contextlib
import shutil
import socket
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Self

from undertone_bench.envoy import LOOPBACK
from undertone_bench.errors import BenchError
from undertone_bench.processes import free_ports, stop

BUILT: Final = Path("build/coredns/coredns")
"""Where .ci/coredns puts the program, relative to the repository's root."""

_RELOAD: Final = "0.1s"
"""Interval at which CoreDNS looks for new records."""


def find_coredns() -> Path | None:
    """The program: on the PATH, or built by .ci/coredns. None if it is missing."""
    found = shutil.which("coredns")
    if found:
        return Path(found)
    return BUILT.absolute() if BUILT.exists() else None


class DnsServer:
    """Answers queries for the address records of one name.

    Attributes:
        port: The UDP and TCP port on 127.0.0.1.
    """

    def __init__(self, folder: Path, name: str, *, cache_seconds: int) -> None:
        """Creates a stopped server.

        Args:
            folder: An existing folder for the configuration and the records.
            name: The DNS name, with or without the final dot.
            cache_seconds: The TTL of answers, and the time for which the server caches them. 0
                disables the cache.

        Raises:
            BenchError: CoreDNS is not installed.
        """
        program = find_coredns()
        if program is None:
            raise BenchError("coredns is not on the PATH: run .ci/coredns, which builds it with Go")
        (self.port,) = free_ports(1)
        self._name = name.rstrip(".")
        self._hosts = folder / "hosts"
        self._log = folder / "coredns.log"
        # Without the block, the cache would keep answers for at least 5 s.
        times = f"9984 {cache_seconds} {cache_seconds}"
        cache = f"cache {cache_seconds} {{\n success {times}\n denial {times}\n}}" if cache_seconds else ""
        corefile = folder / "Corefile"
        corefile.write_text(
            f"{self._name}:{self.port} {{\nbind {LOOPBACK}\n{cache}\n"
            f"hosts {self._hosts} {{\n ttl {max(1, cache_seconds)}\n reload {_RELOAD}\n no_reverse\n}}\n}}\n"
        )
        self._command = (str(program), "-quiet", "-conf", str(corefile))
        self._process: subprocess.Popen[bytes] | None = None
        self.publish([])

    def publish(self, addresses: Iterable[str]) -> None:
        """Replaces the records. Cached answers stay until they expire."""
        fresh = self._hosts.with_suffix(".new")
        fresh.write_text("".join(f"{address} {self._name}\n" for address in addresses))
        fresh.replace(self._hosts)

    def start(self) -> None:
        """Starts the server with an empty cache. Returns when it listens."""
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(self._command, stdout=output, stderr=output)
        while self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, self.port), timeout=1):
                return
        raise BenchError(f"CoreDNS ended at its start:\n{self._log.read_text(errors='replace')}")

    def stop(self) -> None:
        """Stops the server. Queries fail until `start`."""
        if self._process:
            stop(self._process)
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
