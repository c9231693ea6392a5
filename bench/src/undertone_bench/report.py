"""What a scenario found, as it is stored, drawn and written."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from undertone_bench.machine import Environment
from undertone_bench.spread import Spread

LEVELS: Final = ("at least", "at most")


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound on the median: `level` is one of LEVELS."""

    level: str
    value: float

    def is_met(self, spread: Spread) -> bool:
        return spread.median >= self.value if self.level == LEVELS[0] else spread.median <= self.value


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of a report, printed in the format `form`."""

    name: str
    spread: Spread
    form: str = ".2f"
    goal: Goal | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Cells are text, ready to be read."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Series:
    """Points of a plot; bars have names for x."""

    name: str
    x: tuple[str, ...] | tuple[float, ...]
    y: tuple[float, ...]
    line: bool = True


@dataclass(frozen=True, slots=True)
class Plot:
    """Bars if the x of its series are names, else points and lines."""

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]

    @property
    def is_bars(self) -> bool:
        return any(isinstance(x, str) for series in self.series for x in series.x)


@dataclass(frozen=True, slots=True)
class Report:
    """`raw` has what was measured in each round, for who wants to compute something else."""

    scenario: str
    model: str
    command: str
    taken: str
    environment: Environment
    notes: tuple[str, ...]
    table: Table
    figures: tuple[Figure, ...]
    plot: Plot
    raw: tuple[Mapping[str, Any], ...] = ()

    @property
    def name(self) -> str:
        """Of its files and of its place in the documents."""
        return f"{self.scenario}-{self.model}"

    def write(self, folder: Path) -> Path:
        """As JSON."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}.json"
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
        return path

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises FileNotFoundError, and KeyError or TypeError for a file that is no report."""
        found = json.loads(path.read_text(encoding="utf-8"))
        environment = found["environment"]
        return cls(
            scenario=found["scenario"],
            model=found["model"],
            command=found["command"],
            taken=found["taken"],
            environment=Environment(**{**environment, "flags": tuple(environment["flags"])}),
            notes=tuple(found["notes"]),
            table=Table(tuple(found["table"]["header"]), tuple(tuple(row) for row in found["table"]["rows"])),
            figures=tuple(_figure(figure) for figure in found["figures"]),
            plot=_plot(found["plot"]),
            raw=tuple(found["raw"]),
        )


def _figure(found: Mapping[str, Any]) -> Figure:
    goal = found["goal"] and Goal(**found["goal"])
    return Figure(found["name"], Spread(**found["spread"]), found["form"], goal)


def _plot(found: Mapping[str, Any]) -> Plot:
    series = (Series(one["name"], tuple(one["x"]), tuple(one["y"]), one["line"]) for one in found["series"])
    return Plot(found["title"], found["x_label"], found["y_label"], tuple(series))
