"""Stand-ins for a DataDog agent: sockets that are read, by UDP and by Unix datagrams."""

import re
import select
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_LINE: Final = re.compile(
    r"(?P<name>[a-z_]+):(?P<value>[^|]+)\|(?P<type>[a-z])(\|@(?P<rate>[0-9.]+))?(\|#(?P<tags>[^|]*))?(\|c:[^|]+)?"
)


@dataclass(frozen=True, slots=True)
class Line:
    """A metric as it came over the wire."""

    name: str
    value: float
    type: str
    rate: float
    tags: tuple[str, ...]


class Agent:
    """Reads what comes, from a thread of its own, as the kernel keeps few datagrams for who does not. Closes its socket."""

    def __init__(self, address: str, listener: socket.socket, *, deaf: bool = False) -> None:
        """`address` is what --dogstatsd takes. One that is `deaf` reads nothing until it is asked for what came."""
        self.address = address
        self._socket = listener
        self._packets: list[str] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._read, name="agent")
        if not deaf:
            self._thread.start()

    def packets(self) -> list[str]:
        """Those that have come since this was asked last."""
        with self._lock:
            self._receive()
            packets, self._packets = self._packets, []
            return packets

    def lines(self) -> list[Line]:
        """The metrics that have come since this was asked last."""
        return [_parsed(line) for packet in self.packets() for line in packet.splitlines()]

    def close(self) -> None:
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()
        self._socket.close()

    def _read(self) -> None:
        while not self._closing.is_set():
            select.select((self._socket,), (), (), 0.05)
            with self._lock:
                self._receive()

    def _receive(self) -> None:
        with suppress(BlockingIOError):
            while True:
                self._packets.append(self._socket.recv(65536, socket.MSG_DONTWAIT).decode())


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
    """On a free port of this machine."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    listener.bind(("127.0.0.1", 0))
    with closing(Agent(f"127.0.0.1:{listener.getsockname()[1]}", listener)) as agent:
        yield agent


@contextmanager
def unix_agent(folder: Path, *, deaf: bool = False) -> Iterator[Agent]:
    """`folder` must have a short path, as addresses of sockets must."""
    path = folder / "dsd.sock"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(str(path))
    with closing(Agent(f"unix://{path}", listener, deaf=deaf)) as agent:
        yield agent
