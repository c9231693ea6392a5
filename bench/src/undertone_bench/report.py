"""Results of a measurement: a summary for the page, and a report with plot and samples."""

import json
import shlex
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Self

from undertone_bench.errors import BenchError
from undertone_bench.machine import Environment

BOUNDS: Final = ("at least", "at most")
NO_CONDITIONS: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class MedianRange:
    """Median, minimum and maximum of a quantity over the rounds of a measurement."""

    median: float
    minimum: float
    maximum: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        """Raises StatisticsError if there are no values."""
        known = list(values)
        return cls(statistics.median(known), min(known), max(known))

    @classmethod
    def of_ratios(cls, numerators: Sequence[float], denominators: Sequence[float]) -> Self:
        """Ratios within each round, so that a slow round affects both sides alike.

        Raises ValueError if the numbers of rounds differ.
        """
        return cls.of(one / other for one, other in zip(numerators, denominators, strict=True))

    def scaled(self, factor: float) -> "MedianRange":
        return MedianRange(self.median * factor, self.minimum * factor, self.maximum * factor)

    def __format__(self, spec: str) -> str:
        median, minimum, maximum = (f"{value:{spec}}" for value in (self.median, self.minimum, self.maximum))
        return median if minimum == maximum else f"{median} ({minimum} to {maximum})"


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound on a median. `bound` is one of BOUNDS."""

    bound: str
    value: float

    def is_met(self, result: MedianRange) -> bool:
        return result.median >= self.value if self.bound == BOUNDS[0] else result.median <= self.value

    def __str__(self) -> str:
        return f"{self.bound} {self.value:g}"


@dataclass(frozen=True, slots=True)
class Figure:
    """A named number of a report, printed with the format specification `spec`."""

    name: str
    value: MedianRange
    spec: str = ".2f"
    goal: Goal | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A header and rows of formatted cells."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Series:
    """Points of a plot. A bar chart has names as x values."""

    name: str
    x: tuple[str, ...] | tuple[float, ...]
    y: tuple[float, ...]
    line: bool = True


@dataclass(frozen=True, slots=True)
class Plot:
    """A bar chart if the x values are names, otherwise points and lines."""

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]

    @property
    def is_bar_chart(self) -> bool:
        return any(isinstance(x, str) for series in self.series for x in series.x)


@dataclass(frozen=True, slots=True)
class Summary:
    """Everything that the page shows of a report, except the picture of its plot.

    `command` repeats the measurement. `date` is ISO 8601. `plot_title` is empty without a plot.
    """

    benchmark: str
    subject: str
    command: str
    date: str
    environment: Environment
    notes: tuple[str, ...]
    table: Table
    figures: tuple[Figure, ...]
    plot_title: str = ""

    @property
    def name(self) -> str:
        """Name of the report's files and of its place in the page."""
        return f"{self.benchmark}-{self.subject}"

    def write(self, folder: Path) -> Path:
        """Write NAME.json, with one line per field, table row and figure."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}.json"
        path.write_text(_compact_json(asdict(self)), encoding="utf-8")
        return path

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises BenchError if the file does not exist or is not a summary."""
        return cls._parse(_read_json(path), path)

    @classmethod
    def _parse(cls, found: Mapping[str, Any], path: Path) -> Self:
        try:
            return cls(
                benchmark=found["benchmark"],
                subject=found["subject"],
                command=found["command"],
                date=found["date"],
                environment=Environment(**found["environment"]),
                notes=tuple(found["notes"]),
                table=Table(tuple(found["table"]["header"]), tuple(tuple(row) for row in found["table"]["rows"])),
                figures=tuple(_figure(figure) for figure in found["figures"]),
                plot_title=found["plot_title"],
            )
        except (KeyError, TypeError) as error:
            raise BenchError(f"{path} is not a summary of undertone-bench: {error!r}; measure again") from None


@dataclass(frozen=True, slots=True)
class Report:
    """A summary, its plot, and the samples of each round for further analysis.

    `conditions` are those that samples of a later run must share: see `conditions.py`.
    """

    summary: Summary
    plot: Plot | None = None
    samples: tuple[Mapping[str, Any], ...] = ()
    conditions: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def new(
        cls,
        benchmark: str,
        subject: str,
        *,
        table: Table,
        figures: Iterable[Figure] = (),
        plot: Plot | None = None,
        samples: Iterable[Any] = (),
        notes: Iterable[str] = (),
        conditions: Mapping[str, Any] = NO_CONDITIONS,
    ) -> Self:
        """A report of this command line on this machine. `samples` are dataclasses or mappings."""
        summary = Summary(
            benchmark=benchmark,
            subject=subject,
            command=shlex.join(["undertone-bench", *sys.argv[1:]]),
            date=datetime.now(UTC).strftime("%Y-%m-%d"),
            environment=Environment.read(),
            notes=tuple(notes),
            table=table,
            figures=tuple(figures),
            plot_title=plot.title if plot else "",
        )
        return cls(summary, plot, tuple(_record(sample) for sample in samples), dict(conditions))

    def write(self, folder: Path) -> Path:
        """Write NAME.json with everything."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.summary.name}.json"
        path.write_text(json.dumps(asdict(self)) + "\n", encoding="utf-8")
        return path

    @classmethod
    def read(cls, path: Path) -> Self:
        """The summary, samples and conditions of a written report, without its plot.

        Raises BenchError if the file does not exist or is not a report.
        """
        found = _read_json(path)
        if not {"summary", "samples"} <= found.keys():
            raise BenchError(f"{path} is not a report of undertone-bench; measure again")
        return cls(Summary._parse(found["summary"], path), None, tuple(found["samples"]), found.get("conditions", {}))


def _read_json(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BenchError(f"{path} does not exist: measure first") from None
    except ValueError as error:
        raise BenchError(f"{path} is not JSON: {error}") from None
    return found if isinstance(found, dict) else {}


def _figure(found: Mapping[str, Any]) -> Figure:
    goal = found["goal"] and Goal(**found["goal"])
    return Figure(found["name"], MedianRange(**found["value"]), found["spec"], goal)


def _record(sample: Any) -> Mapping[str, Any]:
    return asdict(sample) if is_dataclass(sample) and not isinstance(sample, type) else dict(sample)


def _compact_json(value: Mapping[str, Any], indent: str = "") -> str:
    inner = indent + " "

    def text(item: Any) -> str:
        if isinstance(item, Mapping) and any(isinstance(part, (list, tuple)) for part in item.values()):
            return _compact_json(item, inner).rstrip("\n")
        if isinstance(item, (list, tuple)) and item and not isinstance(item[0], str):
            return "[\n" + ",\n".join(f"{inner} {json.dumps(one, ensure_ascii=False)}" for one in item) + f"\n{inner}]"
        return json.dumps(item, ensure_ascii=False)

    lines = [f"{inner}{json.dumps(key)}: {text(item)}" for key, item in value.items()]
    return "{\n" + ",\n".join(lines) + f"\n{indent}}}\n"
