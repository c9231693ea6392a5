"""Fake Datadog agents, on UDP and on Unix datagram sockets."""

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
class StatsDMetric:
    """One line of a packet, parsed."""

    name: str
    value: float
    type: str
    rate: float
    tags: tuple[str, ...]

    @classmethod
    def parse(cls, line: str) -> "StatsDMetric":
        """Raises ValueError if the line is not a metric."""
        match = _LINE.fullmatch(line)
        if not match:
            raise ValueError(f"{line!r} is not a DogStatsD metric")
        tags = tuple(match["tags"].split(",")) if match["tags"] else ()
        return cls(match["name"], float(match["value"]), match["type"], float(match["rate"] or 1), tags)


class FakeAgent:
    """Keeps the packets that it receives. Closes its socket.

    It reads in its own thread, because the kernel buffers few datagrams for a socket that is not
    read.
    """

    def __init__(self, address: str, listener: socket.socket, *, reading: bool = True) -> None:
        """
        Args:
            address: Value for --dogstatsd.
            reading: False: reads only in `packets` and `metrics`.
        """
        self.address = address
        self._socket = listener
        self._packets: list[str] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._read, name="agent")
        if reading:
            self._thread.start()

    def packets(self) -> list[str]:
        """The packets received since the previous call."""
        with self._lock:
            self._receive()
            packets, self._packets = self._packets, []
            return packets

    def metrics(self) -> list[StatsDMetric]:
        """The metrics received since the previous call."""
        return [StatsDMetric.parse(line) for packet in self.packets() for line in packet.splitlines()]

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


def sum_counters(metrics: list[StatsDMetric]) -> Counter[tuple[str, tuple[str, ...]]]:
    """The sums of the counters by name and tags."""
    sums: Counter[tuple[str, tuple[str, ...]]] = Counter()
    for metric in metrics:
        if metric.type == "c":
            sums[metric.name, metric.tags] += int(metric.value)
    return sums


@contextmanager
def udp_agent() -> Iterator[FakeAgent]:
    """An agent on a free port of this machine."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    listener.bind(("127.0.0.1", 0))
    with closing(FakeAgent(f"127.0.0.1:{listener.getsockname()[1]}", listener)) as agent:
        yield agent


@contextmanager
def unix_agent(folder: Path, *, reading: bool = True) -> Iterator[FakeAgent]:
    """An agent on a Unix socket in `folder`, whose path must be short (about 100 bytes)."""
    path = folder / "dsd.sock"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(str(path))
    with closing(FakeAgent(f"unix://{path}", listener, reading=reading)) as agent:
        yield agent
