"""What is measured: metrics, declared once for all adapters, and measurements of them. All durations are in seconds."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

SECONDS: Final = tuple(0.001 * 2**power for power in range(17))
"""Buckets of durations: 1 ms to 65.5 s, each twice the one before."""

BYTES: Final = tuple(float(4**power) for power in range(4, 13))
"""Buckets of messages' sizes: 256 B to 16 MiB, each four times the one before."""


class Kind(Enum):
    """What a measurement's value does to its metric."""

    COUNTER = "counter"
    """Is added."""
    GAUGE = "gauge"
    """Replaces the last one."""
    HISTOGRAM = "histogram"
    """Is one more observation."""
    INFO = "info"
    """Is 1: the labels say it, and what other labels said before no longer holds."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A name, after Prometheus' conventions, with everything that adapters and readers must know of it.

    Each label takes few values, known in advance: no identifiers, no text. `buckets` are the upper bounds of a histogram's.
    Raises ValueError for what Prometheus would not take, or what would make its names lie.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if problems := list(self._problems()):
            raise ValueError("; ".join(problems))

    def _problems(self) -> Iterator[str]:
        if (self.kind is Kind.COUNTER) != self.name.endswith("_total"):
            yield f"the {self.kind.value} is named {self.name}; names of counters, and of nothing else, end with _total"
        if (self.kind is Kind.INFO) != self.name.endswith("_info"):
            yield f"the {self.kind.value} is named {self.name}; names of infos, and of nothing else, end with _info"
        if (self.kind is Kind.HISTOGRAM) != bool(self.buckets):
            yield f"the {self.kind.value} {self.name} has {len(self.buckets)} buckets; histograms, and nothing else, need some"
        if list(self.buckets) != sorted(set(self.buckets)):
            yield f"the buckets of {self.name} are {self.buckets}; they must rise"


class Measurement(NamedTuple):
    """A value of a metric, with values for its labels in their order. Each call makes a dozen, and a dataclass takes longer."""

    metric: Metric
    value: float
    labels: tuple[str, ...] = ()
