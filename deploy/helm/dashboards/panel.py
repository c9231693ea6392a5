"""What a dashboard shows, in words that Grafana's and DataDog's makers both understand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias


class Unit(Enum):
    """Of a panel's axis."""

    COUNT = "count"
    PER_SECOND = "per second"
    SECONDS = "seconds"
    SHARE = "share"
    BYTES = "bytes"
    MILLISECONDS = "milliseconds"
    MICROSECONDS = "microseconds"


@dataclass(frozen=True, slots=True)
class Series:
    """A metric by its Prometheus name, split `by` labels, where labels are as `where` says and not as `unlike` does."""

    metric: str
    by: tuple[str, ...] = ()
    where: Mapping[str, str] = field(default_factory=dict)
    unlike: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rate:
    """What a counter gains in a second, or how often a histogram was observed (`of` its count)."""

    of: Series


@dataclass(frozen=True, slots=True)
class Sum:
    """Of gauges."""

    of: Series


@dataclass(frozen=True, slots=True)
class Quantile:
    """Of a histogram; `at` is between 0 and 1."""

    of: Series
    at: float


@dataclass(frozen=True, slots=True)
class Mean:
    """Of what a histogram observed."""

    of: Series


@dataclass(frozen=True, slots=True)
class Share:
    """A part over the whole, both rates or both sums. `whole` may be split by fewer labels than `part`."""

    part: "Rate | Sum"
    whole: "Rate | Sum"


@dataclass(frozen=True, slots=True)
class Age:
    """Seconds since the time that a gauge holds."""

    of: Series


Query: TypeAlias = Rate | Sum | Quantile | Mean | Share | Age


@dataclass(frozen=True, slots=True)
class Line:
    """A query and what to call its result; labels stand in the legend in braces: "p99 {lane}"."""

    query: Query
    legend: str


class Shape(Enum):
    """How a panel draws."""

    LINES = "lines"
    STACK = "stack"
    VALUE = "value"
    TABLE = "table"


@dataclass(frozen=True, slots=True)
class Panel:
    """`meaning` is shown where a reader asks what it is, and how to read it."""

    title: str
    meaning: str
    unit: Unit
    lines: tuple[Line, ...]
    shape: Shape = Shape.LINES


class Source(Enum):
    """Who has the metrics of a section, and so which labels choose among them."""

    PODS = "pods"
    """Sidecars and clients: scraped by Prometheus, or sent to DataDog."""
    JOBS = "jobs"
    """Jobs, by way of a Pushgateway or sent to DataDog."""
    OTHERS = "others"
    """Envoy, TF Serving and Kubernetes: scraped. DataDog has integrations, and dashboards, of its own for them."""


@dataclass(frozen=True, slots=True)
class Section:
    """Panels under a title."""

    title: str
    source: Source
    panels: tuple[Panel, ...]
