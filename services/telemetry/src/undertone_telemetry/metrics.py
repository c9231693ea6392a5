"""Metrics, their measurements, and notifications for people. All durations are in seconds."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

DURATION_BUCKETS: Final = tuple(0.001 * 2**power for power in range(17))
"""1 ms to 65.5 s; each bucket is twice the previous one."""

SIZE_BUCKETS: Final = tuple(float(4**power) for power in range(4, 13))
"""256 B to 16 MiB; each bucket is four times the previous one."""


class Kind(Enum):
    """Type of a metric. It decides how a measurement changes the metric."""

    COUNTER = "counter"
    """The value is added."""
    GAUGE = "gauge"
    """The value replaces the previous one."""
    HISTOGRAM = "histogram"
    """The value is one more observation."""
    INFO = "info"
    """The value is 1 and the labels carry the information. New labels replace the previous ones."""


@dataclass(frozen=True, slots=True)
class Metric:
    """The declaration of a metric, for all adapters and for the documentation.

    Attributes:
        name: Follows Prometheus' naming conventions.
        labels: Each has few values, known in advance. No identifiers, no text.
        buckets: The upper bounds of a histogram's buckets.

    Raises:
        ValueError: the name, kind and buckets contradict one another.
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
            yield f"the {self.kind.value} is named {self.name}; only the names of counters end with _total"
        if (self.kind is Kind.INFO) != self.name.endswith("_info"):
            yield f"the {self.kind.value} is named {self.name}; only the names of infos end with _info"
        if (self.kind is Kind.HISTOGRAM) != bool(self.buckets):
            yield f"the {self.kind.value} {self.name} has {len(self.buckets)} buckets; only histograms have buckets"
        if list(self.buckets) != sorted(set(self.buckets)):
            yield f"the buckets of {self.name} are {self.buckets}; each must exceed the previous one"


class Measurement(NamedTuple):
    """A value of a metric, with the values of its labels in the metric's order.

    A tuple, because a call makes a dozen of them and a dataclass takes longer to create.
    """

    metric: Metric
    value: float
    labels: tuple[str, ...] = ()


class Level(Enum):
    """The severity of a notification."""

    INFO = "info"
    SUCCESS = "success"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Notification:
    """An event for people, such as a failed job.

    Datadog shows it as an event. Prometheus has no equivalent. It never carries the text of
    paragraphs.

    Attributes:
        labels: (name, value) pairs to search by.
    """

    title: str
    text: str
    level: Level = Level.INFO
    labels: tuple[tuple[str, str], ...] = ()
