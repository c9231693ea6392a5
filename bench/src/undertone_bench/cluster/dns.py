"""CoreDNS as the DNS server of the cluster."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from undertone_bench.envoy import LOOPBACK
from undertone_bench.errors import BenchError
from undertone_bench.local_server import LocalServer, find_program
from undertone_bench.processes import free_ports

BUILT: Final = Path("build/coredns/coredns")
"""Where .ci/coredns puts the program, relative to the repository's root."""

_RELOAD: Final = "0.1s"
"""Interval at which CoreDNS looks for new records."""


def find_coredns() -> Path | None:
    """The program: on the PATH, or built by .ci/coredns. None if it is missing."""
    return find_program("coredns", BUILT)


class DnsServer(LocalServer):
    """Answers queries for the address records of one name. Each start begins with an empty cache.

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
        (port,) = free_ports(1)
        self._domain = name.rstrip(".")
        self._hosts = folder / "hosts"
        # Without the block, the cache would keep answers for at least 5 s.
        times = f"9984 {cache_seconds} {cache_seconds}"
        cache = f"cache {cache_seconds} {{\n success {times}\n denial {times}\n}}" if cache_seconds else ""
        corefile = folder / "Corefile"
        corefile.write_text(
            f"{self._domain}:{port} {{\nbind {LOOPBACK}\n{cache}\n"
            f"hosts {self._hosts} {{\n ttl {max(1, cache_seconds)}\n reload {_RELOAD}\n no_reverse\n}}\n}}\n"
        )
        super().__init__("CoreDNS", port, (str(program), "-quiet", "-conf", str(corefile)), folder / "coredns.log")
        self.publish([])

    def publish(self, addresses: Iterable[str]) -> None:
        """Replaces the records. Cached answers stay until they expire."""
        fresh = self._hosts.with_suffix(".new")
        fresh.write_text("".join(f"{address} {self._domain}\n" for address in addresses))
        fresh.replace(self._hosts)
