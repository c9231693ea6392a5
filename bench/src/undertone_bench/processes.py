"""Processes of a measurement: CPU time and memory from /proc, free ports, and stopping them."""

import contextlib
import os
import random
import re
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from undertone_bench.errors import BenchError

PORTS: Final = range(10_000, 32_000)
"""Ports for servers. Linux takes the ports of outgoing connections from 32768 on, so none of them
can take such a port before its server starts."""

_TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")
_STOP_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class ProcessUsage:
    """CPU seconds of all threads since the process started, and resident bytes now."""

    cpu_seconds: float
    resident_bytes: int

    @classmethod
    def read(cls, pid: int) -> Self:
        """Raises FileNotFoundError if the process has ended."""
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rsplit(")", 1)[1].split()
        return cls((int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND, _status_bytes(pid, "VmRSS"))


class CpuMeter:
    """CPU seconds that named processes use from now on."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = pids
        self._before = {name: ProcessUsage.read(pid).cpu_seconds for name, pid in pids.items()}

    def read(self) -> dict[str, float]:
        """CPU seconds by process name."""
        return {name: ProcessUsage.read(pid).cpu_seconds - self._before[name] for name, pid in self._pids.items()}


def peak_resident_bytes(pid: int) -> int:
    """The process's peak resident memory in bytes."""
    return _status_bytes(pid, "VmHWM")


def child_processes(pid: int) -> list[int]:
    """Process ids of the direct children of `pid`."""
    return [int(stat.parent.name) for stat in Path("/proc").glob("[0-9]*/stat") if _parent(stat) == pid]


def free_ports(count: int) -> list[int]:
    """Random loopback ports from PORTS that are free now.

    Raises BenchError if there are not enough.
    """
    found: list[int] = []
    for port in random.SystemRandom().sample(PORTS, len(PORTS)):
        if len(found) == count:
            return found
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found.append(port)
    raise BenchError(f"{count} free ports are needed, but only {len(found)} of {PORTS.start} to {PORTS.stop - 1} are free")


def first_cpus(count: int) -> list[int]:
    """Numbers of the first `count` CPUs that this process may use.

    Raises BenchError if there are fewer.
    """
    allowed = sorted(os.sched_getaffinity(0))
    if count > len(allowed):
        raise BenchError(f"{count} CPUs are needed, but this process may use only {len(allowed)}: lower --cpus or --pods")
    return allowed[:count]


def stop(process: "subprocess.Popen[bytes]") -> None:
    """Send SIGTERM and wait; send SIGKILL after a minute."""
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _status_bytes(pid: int, field: str) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    found = re.search(rf"^{field}:\s*(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _parent(stat: Path) -> int | None:
    try:
        return int(stat.read_text().rpartition(")")[2].split()[1])
    except OSError:  # the process has ended
        return None
