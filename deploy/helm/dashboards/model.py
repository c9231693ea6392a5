"""The description of a dashboard, independent of Grafana and Datadog."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias


class Unit(Enum):
    """The unit of a panel."""

    COUNT = "count"
    PER_SECOND = "per second"
    SECONDS = "seconds"
    RATIO = "ratio"
    BYTES = "bytes"
    MILLISECONDS = "milliseconds"
    MICROSECONDS = "microseconds"


@dataclass(frozen=True, slots=True)
class Series:
    """The series of a metric, by its Prometheus name, aggregated by labels.

    `equal` and `not_equal` select the series by the values of labels.
    """

    metric: str
    by: tuple[str, ...] = ()
    equal: Mapping[str, str] = field(default_factory=dict)
    not_equal: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rate:
    """The increase of a counter per second, or of the count of a histogram (`_count`)."""

    series: Series


@dataclass(frozen=True, slots=True)
class Sum:
    """The sum of gauges."""

    series: Series


@dataclass(frozen=True, slots=True)
class Quantile:
    """A quantile of a histogram, between 0 and 1."""

    series: Series
    quantile: float


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of the observations of a histogram."""

    series: Series


@dataclass(frozen=True, slots=True)
class Ratio:
    """A quotient of two rates or two sums.

    If the denominator has fewer labels, each numerator is divided by the denominator with equal
    labels.
    """

    numerator: "Rate | Sum"
    denominator: "Rate | Sum"


@dataclass(frozen=True, slots=True)
class Age:
    """The seconds since the timestamp in a gauge."""

    series: Series


Query: TypeAlias = Rate | Sum | Quantile | Mean | Ratio | Age


@dataclass(frozen=True, slots=True)
class Target:
    """A query with its legend. The legend contains labels in braces, as in "p99 {lane}"."""

    query: Query
    legend: str


class Visualization(Enum):
    """Chart type of a panel."""

    LINES = "lines"
    STACK = "stack"
    STAT = "stat"
    TABLE = "table"


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel. Grafana shows the description as a tooltip."""

    title: str
    description: str
    unit: Unit
    targets: tuple[Target, ...]
    visualization: Visualization = Visualization.LINES


class Source(Enum):
    """The source of the metrics of a section. It determines the labels that select the series."""

    PODS = "pods"
    """Sidecars and clients: scraped by Prometheus or sent to Datadog."""
    JOBS = "jobs"
    """Jobs: pushed to a Pushgateway or sent to Datadog."""
    INFRASTRUCTURE = "infrastructure"
    """Envoy, TF Serving and Kubernetes: scraped by Prometheus. Datadog has dashboards for them."""


@dataclass(frozen=True, slots=True)
class Section:
    """A row of Grafana or a group of Datadog."""

    title: str
    source: Source
    panels: tuple[Panel, ...]
