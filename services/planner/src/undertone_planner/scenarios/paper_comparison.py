"""The paper's figures beside the model's, and Undertone's on the same cluster."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from undertone_planner.scenarios.paper import HOURS, PAPER, PARAGRAPHS, PaperResult, PaperSettings, plain, undertone

TABLE_2: Final = {10: 170.0, 25: 256.7, 50: 298.3}
"""Paragraphs per second by semaphore. With 75, the fleet stopped scaling."""
FAILING_SEMAPHORE: Final = 75
FIRST_HOUR: Final = 600_000
"""Figure 2: paragraphs in the first 60 minutes."""
PEAK_PER_MINUTE: Final = 18_000
SCALE_MINUTES: Final = 40.0
STARTS: Final = 4
"""In 96 hours, the fleet scaled once a day."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A figure of the paper, of the model of its cluster, and of Undertone on the same cluster.

    `paper` is None where the paper has no number. `undertone` is None where it has no counterpart.
    `note` says what the model did.
    """

    name: str
    unit: str
    paper: float | None
    model: float | None
    undertone: float | None = None
    note: str = ""

    @property
    def difference(self) -> float | None:
        """Of the model, relative to the paper."""
        return None if self.paper is None or self.model is None else self.model / self.paper - 1


def compare(settings: PaperSettings = PAPER, *, scale: int = 1) -> Iterator[Comparison]:
    """All figures. Counts and rates of a cluster that is scaled down are multiplied by `scale`."""
    ours = undertone(settings)
    for semaphore, paper in TABLE_2.items():
        result = plain(semaphore, settings)
        name = f"Table 2, semaphore {semaphore}"
        yield Comparison(name, "paragraphs/s", paper, scale * result.final_rate, scale * ours.final_rate, _describe(result))
    best = result
    failing = plain(FAILING_SEMAPHORE, settings)
    name = f"Table 2, semaphore {FAILING_SEMAPHORE}"
    yield Comparison(
        name, "paragraphs/s", None, scale * failing.final_rate, scale * ours.final_rate, f"scaling fails: {_describe(failing)}"
    )
    yield Comparison("Time to scale", "minutes", SCALE_MINUTES, _minutes(best), _minutes(ours))
    yield Comparison("Figure 2, first 60 minutes", "paragraphs", FIRST_HOUR, scale * best.answered, scale * ours.answered)
    yield Comparison(
        "Figure 2, peak", "paragraphs/min", PEAK_PER_MINUTE, scale * best.peak_per_minute, scale * ours.peak_per_minute
    )
    model, undertones = (result.hours(PARAGRAPHS / scale, starts=STARTS) for result in (best, ours))
    yield Comparison("95 million paragraphs", "hours", HOURS, model, undertones)


def _minutes(result: PaperResult) -> float | None:
    return None if result.scaled_seconds is None else result.scaled_seconds / 60


def _describe(result: PaperResult) -> str:
    last = result.course.samples[-1]
    return f"{last.ready} of {last.pods} pods ready, {result.restarts} restarts"
