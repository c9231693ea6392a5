"""A fake Pushgateway and a fake Datadog agent, and the reports that they received from a job."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from undertone_telemetry.testing import FakeAgent, FakePushgateway, pushgateway, udp_agent

_EVENT = re.compile(r"_e\{\d+,\d+\}:(?P<title>[^|]*)\|(?P<text>[^|]*)\|t:(?P<type>[a-z]+)\|#(?P<tags>.*)")
_COUNTER = re.compile(r"(?P<name>[a-z_]+):(?P<value>[0-9.]+)\|c\|#(?P<tags>.*)")


@dataclass(frozen=True, slots=True)
class DatadogEvent:
    title: str
    text: str
    type: str
    tags: str


@dataclass(slots=True)
class Reports:
    """The reports of a job."""

    gateway: FakePushgateway
    agent: FakeAgent
    _lines: list[str] = field(default_factory=list)

    @property
    def flags(self) -> tuple[str, str]:
        """The flags with which a command reports here."""
        return f"--pushgateway={self.gateway.url}", f"--dogstatsd={self.agent.address}"

    def lines(self) -> list[str]:
        """The lines of all packets that the agent received so far."""
        self._lines += [line for packet in self.agent.packets() for line in packet.splitlines()]
        return self._lines

    def events(self) -> list[DatadogEvent]:
        """The events that the agent received so far, in order."""
        return [DatadogEvent(**match.groupdict()) for line in self.lines() if (match := _EVENT.fullmatch(line))]

    def counter(self, name: str, tags: str) -> float:
        """The sum of a counter with these tags."""
        counters = [match for line in self.lines() if (match := _COUNTER.fullmatch(line))]
        return sum(float(match["value"]) for match in counters if (match["name"], match["tags"]) == (name, tags))


@contextmanager
def reports() -> Iterator[Reports]:
    with pushgateway() as gateway, udp_agent() as agent:
        yield Reports(gateway, agent)
