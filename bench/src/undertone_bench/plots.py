"""Plots as PNG files and as text for a terminal."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from undertone_bench.report import Plot

_COLORS = ("#2f6f8f", "#c8553d", "#8a8d91", "#588157", "#b08968", "#6d597a")


def draw(plot: Plot, path: Path) -> None:
    """Write a PNG file. The same plot gives the same bytes."""
    figure = Figure(figsize=(7.2, 3.6), layout="constrained")
    axes = figure.subplots()
    if plot.is_bar_chart:
        _draw_bars(plot, axes)
    else:
        _draw_lines(plot, axes)
    axes.set_title(plot.title, fontsize=11, loc="left")
    axes.set_xlabel(plot.x_label)
    axes.set_ylabel(plot.y_label)
    axes.spines[["top", "right"]].set_visible(False)
    # matplotlib would otherwise write its version into the file.
    figure.savefig(path, dpi=110, metadata={"Software": None})


def _draw_bars(plot: Plot, axes: Axes) -> None:
    (series,) = plot.series
    names = [str(name) for name in series.x]
    bars = axes.bar(names, series.y, color=[_COLORS[index % len(_COLORS)] for index in range(len(names))], width=0.6)
    axes.bar_label(bars, fmt="{:.3g}", padding=2, fontsize=9)
    axes.margins(y=0.12)


def _draw_lines(plot: Plot, axes: Axes) -> None:
    for index, series in enumerate(plot.series):
        color = _COLORS[index % len(_COLORS)]
        style = "-" if series.line else "none"
        axes.plot(series.x, series.y, linestyle=style, marker="o", markersize=4, color=color, label=series.name)
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, fontsize=9)


def as_text(plot: Plot, width: int = 90, height: int = 20) -> str:
    """The plot for a terminal, without colors."""
    import plotext

    figure = plotext.figure
    figure.clear()
    figure.theme("colorless")
    figure.plot_size(width, height)
    for series in plot.series:
        if plot.is_bar_chart:
            figure.draw(figure.bar(list(series.x), list(series.y)))
        else:
            signal = figure.signal(list(series.x), list(series.y), marker="•")
            signal.label(series.name)
            figure.draw(signal)
    figure.title(plot.title)
    figure.label(plot.x_label, axis="x")
    figure.label(plot.y_label, axis="y")
    return str(plotext.uncolorize(str(figure.build())))
