"""The data from which the script of the page draws the stories."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow.compute as pc

from undertone_cli.report.arcs import default_bandwidth, smooth
from undertone_cli.report.encoded_columns import (
    SCALE,
    SMALL_SCALE,
    integers,
    labels,
    probabilities,
    small_probabilities,
    valences,
)
from undertone_cli.report.page import Page, StoryView, changed_counts

THUMBNAIL_POINTS = 40


@dataclass(frozen=True, slots=True)
class ChartData:
    """The data of the charts.

    Attributes:
        document: all stories as JSON values. Columns over the groups of all stories are in base64.
        peak: the highest probability of a paragraph among the labels in charts.
        stack_top: the highest sum of the probabilities of a thumbnail, rounded up; at least 1.
    """

    document: dict[str, object]
    peak: float = 1.0
    stack_top: float = 1.0


def chart_data(page: Page) -> ChartData:
    """The data of the charts of a page."""
    if not page.stories:
        return ChartData({"stories": []})
    table = page.bins.table
    columns: dict[str, object] = {name: integers(table[name]) for name in ("first", "last", "count")}
    columns |= {"leading": labels(table["leading"]), "confidence": probabilities(table["confidence"])}
    columns["means"] = [probabilities(table[f"m{i}"]) for i in page.shown]
    if not page.bins.single:
        columns["maxima"] = [probabilities(table[f"x{i}"]) for i in page.shown]
    if page.valence is not None:
        columns["valence"] = valences(table["valence"])
    if (changed := changed_counts(page)) is not None:
        columns["changed"] = integers(changed)
    arcs: list[list[float]] = [[] for _ in page.shown]
    stories = list(_stories(page, arcs))
    thresholds = [page.labels[i].threshold for i in page.shown]
    peak = max(pc.max(table[f"x{i}"]).as_py() for i in page.shown)
    stack_top = max(1.0, math.ceil(10 * max(map(math.fsum, zip(*arcs, strict=True))) - 1e-6) / 10) if page.multi_label else 1.0
    document = {
        "scale": SCALE,
        "smallScale": SMALL_SCALE,
        "top": row_top(peak),
        "stackTop": stack_top,
        "joined": bool(page.plan.joined),
        "labels": [total.label for total in page.labels],
        "shown": page.shown,
        "thresholds": thresholds if page.multi_label else None,
        "columns": columns,
        "arcs": [small_probabilities(values) for values in arcs],
        "stories": stories,
    }
    return ChartData(document, peak, stack_top)


def row_top(peak: float) -> float:
    """The probability at the top of a row: the highest, rounded up to a tenth; at least a half."""
    return max(0.5, math.ceil(10 * peak - 1e-6) / 10)


def _stories(page: Page, arcs: list[list[float]]) -> Iterator[dict[str, object]]:
    for view, start in zip(page.stories, page.bins.starts[:-1], strict=True):
        story = view.story
        points = _add_arc(view, page, arcs)
        yield {
            "title": view.title,
            "document": story.document,
            "paragraphs": story.paragraphs,
            "first": story.first,
            "last": story.last,
            "sentence": view.sentence,
            "leading": view.leading,
            "confidence": round(view.confidence, 4),
            "valence": None if view.valence is None else round(view.valence, 4),
            "changed": None if view.change is None else [view.change.flipped, view.change.compared],
            "bandwidth": round(default_bandwidth(story.span), 2),
            "start": start,
            "groups": len(view.course.centers),
            "arc": points,
            "chapters": [[chapter.place, chapter.title, chapter.position] for chapter in view.chapters],
        }


def _add_arc(view: StoryView, page: Page, arcs: list[list[float]]) -> int:
    """Add the arc of a story to those of the others. Returns its number of points."""
    shown = view.course.of(page.shown)
    points = min(THUMBNAIL_POINTS, 2 * len(shown.centers))
    smoothed = smooth(shown, bandwidth=default_bandwidth(shown.span), points=points)
    for arc, values in zip(arcs, smoothed, strict=True):
        arc.extend(values)
    return points
