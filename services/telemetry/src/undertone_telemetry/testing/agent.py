"""Stand-ins for a DataDog agent: sockets that are read, by UDP and by Unix datagrams."""

import re
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_LINE: Final = re.compile(r"(?P<name>[a-z_]+):(?P<value>[^|]+)\|(?P<type>[a-z])(\|@(?P<rate>[0-9.]+))?(\|#(?P<tags>[^|]*))?")


@dataclass(frozen=True, slots=True)
class Line:
    """A metric as it came over the wire."""

    name: str
    value: float
    type: str
    rate: float
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Agent:
    """Has an address for --dogstatsd."""

    address: str
    socket: socket.socket

    def packets(self) -> list[str]:
        """All that have come so far."""
        packets = []
        while True:
            try:
                packets.append(self.socket.recv(65536, socket.MSG_DONTWAIT).decode())
            except BlockingIOError:
                return packets

    def lines(self) -> list[Line]:
        """The metrics that have come so far."""
        return [_parsed(line) for packet in self.packets() for line in packet.splitlines()]


def _parsed(line: str) -> Line:
    """Of a metric, as the protocol has it. Raises ValueError for anything else."""
    found = _LINE.fullmatch(line)
    if not found:
        raise ValueError(f"{line!r} is no metric of DogStatsD")
    tags = tuple(found["tags"].split(",")) if found["tags"] else ()
    return Line(found["name"], float(found["value"]), found["type"], float(found["rate"] or 1), tags)


def counted(lines: list[Line]) -> Counter[tuple[str, tuple[str, ...]]]:
    """Counters' sums by name and tags."""
    sums: Counter[tuple[str, tuple[str, ...]]] = Counter()
    for line in lines:
        if line.type == "c":
            sums[line.name, line.tags] += int(line.value)
    return sums


@contextmanager
def udp_agent() -> Iterator[Agent]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        listener.bind(("127.0.0.1", 0))
        yield Agent(f"127.0.0.1:{listener.getsockname()[1]}", listener)


@contextmanager
def unix_agent(folder: Path) -> Iterator[Agent]:
    """`folder` must have a short path, as addresses of sockets must."""
    path = folder / "dsd.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        yield Agent(f"unix://{path}", listener)
