"""The course of a batch job as a plot in the terminal and as a PNG file."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from undertone_planner.errors import PlannerError
from undertone_planner.plan.batch_course import Point
from undertone_planner.plan.plan import HOUR, Plan

_SERIES: Final = ("ready pods", "paragraphs a second", "backlog, paragraphs")
_COLORS: Final = ("#2f6f8f", "#588157", "#c8553d")
_PLOT_POINTS: Final = 400


def as_text(plan: Plan, width: int = 78, height: int = 9) -> str:
    """Plots of the growth of the fleet and of the backlog, without colors."""
    ramp, unit, seconds = _ramp(plan)
    ramp, job = _resampled(ramp, width), _resampled(plan.course, width)
    minutes, hours = [point.seconds / seconds for point in ramp], [point.seconds / HOUR for point in job]
    series = (
        (minutes, [float(point.pods) for point in ramp], f"{_SERIES[0]}, {unit}"),
        (minutes, [point.paragraphs_per_second for point in ramp], f"{_SERIES[1]}, {unit}"),
        (hours, [point.backlog for point in job], f"{_SERIES[2]}, hours"),
    )
    return "\n".join(_plot(x, y, title, width, height) for x, y, title in series)


def write_png(plan: Plan, path: Path) -> None:
    """Write a PNG file with three plots.

    Raises:
        PlannerError: matplotlib is not installed, or the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise PlannerError("--png needs matplotlib: pip install 'undertone-planner[png]', or omit --png") from None
    ramp, unit, seconds = _ramp(plan)
    hours = _thinned(plan.course)
    figure = Figure(figsize=(7.2, 7.2), layout="constrained")
    panels = figure.subplots(3)
    panels[0].step([p.seconds / seconds for p in ramp], [p.pods for p in ramp], where="post", color=_COLORS[0])
    panels[1].step([p.seconds / seconds for p in ramp], [p.paragraphs_per_second for p in ramp], where="post", color=_COLORS[1])
    panels[2].plot([p.seconds / HOUR for p in hours], [p.backlog for p in hours], color=_COLORS[2])
    for panel, name, label in zip(panels, _SERIES, (unit, unit, "hours"), strict=True):
        panel.set_title(name, fontsize=11, loc="left")
        panel.set_xlabel(label)
        panel.set_ylim(bottom=0)
        panel.set_xlim(left=0)
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(alpha=0.25)
    try:
        figure.savefig(path, dpi=110, format="png", metadata={"Software": None})
    except OSError as error:
        raise PlannerError(f"--png {path} cannot be written ({error.strerror}): name another file") from None


def _ramp(plan: Plan) -> tuple[Sequence[Point], str, float]:
    """The simulated part of the course, or all of it, with the unit of its time axis."""
    end = plan.simulated_seconds or plan.seconds
    points = [point for point in plan.course if point.seconds <= end]
    # The last point of the job has no throughput.
    if len(points) > 1 and points[-1].backlog <= 0:
        points = points[:-1]
    # A closed form has one point for each step.
    last = points[-1]
    points.append(Point(seconds=end, pods=last.pods, paragraphs_per_second=last.paragraphs_per_second, backlog=last.backlog))
    unit, seconds = ("minutes", 60.0) if end <= 2 * HOUR else ("hours", HOUR)
    return _thinned(points), unit, seconds


def _resampled(points: Sequence[Point], count: int) -> Sequence[Point]:
    """`count` points at equal distances, so that a terminal shows a line.

    The backlog is linear between two points; pods and throughput are constant.
    """
    found, index, start, end = [], 0, points[0].seconds, points[-1].seconds
    for step in range(count):
        seconds = start + (end - start) * step / (count - 1)
        while index + 2 < len(points) and points[index + 1].seconds <= seconds:
            index += 1
        before, after = points[index], points[index + 1]
        share = (seconds - before.seconds) / max(1e-9, after.seconds - before.seconds)
        backlog = max(0.0, before.backlog + share * (after.backlog - before.backlog))
        found.append(replace(before, seconds=seconds, backlog=backlog))
    return found


def _thinned(points: Sequence[Point]) -> Sequence[Point]:
    step = max(1, len(points) // _PLOT_POINTS)
    return [*points[::step], points[-1]]


def _plot(x: Sequence[float], y: Sequence[float], title: str, width: int, height: int) -> str:
    import plotext

    figure = plotext.figure
    figure.clear()
    figure.theme("colorless")
    figure.plot_size(width, height)
    figure.draw(figure.signal(list(x), list(y), marker="•"))
    figure.title(title)
    return str(plotext.uncolorize(str(figure.build())))
