"""What a job has told its Pushgateway and its DataDog agent."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from undertone_telemetry.testing import Agent, Gateway, pushgateway, udp_agent

_EVENT = re.compile(r"_e\{\d+,\d+\}:(?P<title>[^|]*)\|(?P<text>[^|]*)\|t:(?P<type>[a-z]+)\|#(?P<tags>.*)")
_COUNT = re.compile(r"(?P<name>[a-z_]+):(?P<value>[0-9.]+)\|c\|#(?P<tags>.*)")


@dataclass(frozen=True, slots=True)
class Told:
    """An event of DataDog's."""

    title: str
    text: str
    type: str
    tags: str


@dataclass(slots=True)
class Reports:
    """Both listeners. `packets` keeps what has come to the agent so far, a line each."""

    gateway: Gateway
    agent: Agent
    _packets: list[str] = field(default_factory=list)

    @property
    def flags(self) -> tuple[str, str]:
        """Of a command that is to report to them."""
        return f"--pushgateway={self.gateway.url}", f"--dogstatsd={self.agent.address}"

    def packets(self) -> list[str]:
        self._packets += [line for packet in self.agent.packets() for line in packet.splitlines()]
        return self._packets

    def events(self) -> list[Told]:
        """In their order."""
        return [Told(**found.groupdict()) for line in self.packets() if (found := _EVENT.fullmatch(line))]

    def counted(self, name: str, tags: str) -> float:
        """The sum of a counter with these tags."""
        counts = [found for line in self.packets() if (found := _COUNT.fullmatch(line))]
        return sum(float(count["value"]) for count in counts if (count["name"], count["tags"]) == (name, tags))


@contextmanager
def reports() -> Iterator[Reports]:
    with pushgateway() as gateway, udp_agent() as agent:
        yield Reports(gateway, agent)
