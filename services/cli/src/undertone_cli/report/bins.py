"""The second reading of the scores: stories as groups of consecutive paragraphs."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc

from undertone_cli.report.palette import emotion_indices
from undertone_cli.report.stories import KEY, PLACE, STORY, StoryPlan
from undertone_cli.report.survey import SETS, highest
from undertone_cli.report.valence import Valence


@dataclass(frozen=True, slots=True)
class Peak:
    """The strongest paragraph of a story, its label and its probability."""

    place: int
    label: int
    probability: float


@dataclass(frozen=True)
class Bins:
    """Groups of consecutive paragraphs of all stories, in order, without empty groups.

    Attributes:
        starts: the first row of each story in `table`, and the number of all rows.
        table: a row for each group: `first` and `last` place, `count` of scored paragraphs, the
            mean `m<i>` and the maximum `x<i>` of the probability of each label, mean `confidence`,
            mean `valence` if it is known, and `leading`. With a single-label model, `leading` is
            the index of the label with the highest mean. With a multi-label model, it is that of
            the label that the most paragraphs have, and NULL if no paragraph has a label.
        stories: a row for each story, with `count` and the means of its paragraphs, as in `table`.
        peaks: the strongest paragraph of each story. The label is not neutral, unless it is the
            only label.
    """

    starts: Sequence[int]
    table: pa.Table
    stories: pa.Table
    peaks: Sequence[Peak]

    @property
    def single(self) -> bool:
        """Whether each group is one paragraph."""
        return bool(pc.all(pc.equal(self.table["count"], 1)).as_py())

    def count(self, plan: StoryPlan, paragraphs: pa.Table) -> list[int]:
        """Number of some paragraphs, given by `document` and `position`, in each group."""
        counts = [0] * self.table.num_rows
        located = plan.locate(paragraphs)
        for story, place in zip(located[STORY].to_pylist(), located[PLACE].to_pylist(), strict=True):
            row = bisect_left(self._last, place, self.starts[story], self.starts[story + 1])
            counts[row] += 1
        return counts

    @cached_property
    def _last(self) -> list[int]:
        return list(self.table["last"].to_pylist())


def read_bins(parts: Iterable[pa.Table], plan: StoryPlan, labels: Sequence[str], valence: Valence | None) -> Bins:
    """Group the paragraphs of the stories.

    Args:
        parts: the scores.
        plan: the stories.
        labels: the labels, in the order of the result.
        valence: the valence of the labels, if it is known.
    """
    sums: pa.Table | None = None
    counts: pa.Table | None = None
    candidates = emotion_indices(labels)
    peaks: dict[int, Peak] = {}
    for part in parts:
        located = plan.locate(part)
        if not located.num_rows:
            continue
        _update_peaks(peaks, located, labels, candidates)
        sums = _merged(sums, _sums(located, labels, valence), "key")
        if SETS in located.column_names:
            counts = _merged(counts, _label_counts(located, labels), "key", "label")
    if sums is None:
        return Bins([0], pa.table({}), pa.table({}), [])
    sums = sums.sort_by("key")
    keys = sums["key"].to_pylist()
    starts = [bisect_left(keys, start) for start in plan.starts]
    stories = [story for story, (start, end) in enumerate(pairwise(starts)) for _ in range(start, end)]
    totals = _merged(None, sums.set_column(0, "story", pa.array(stories, pa.int64())), "story").sort_by("story")
    groups = _means(sums).append_column("leading", _leading(sums, counts, len(labels)))
    return Bins(starts, groups, _means(totals), [peaks[story] for story in range(len(plan.stories))])


def _sums(located: pa.Table, labels: Sequence[str], valence: Valence | None) -> pa.Table:
    one = pa.repeat(1, located.num_rows)
    columns = {"key": located[KEY], "first": located[PLACE], "last": located[PLACE], "count": one}
    columns["confidence"] = highest(located, labels)
    if valence is not None:
        columns["valence"] = valence.column(located)
    for index, label in enumerate(labels):
        columns[f"m{index}"] = columns[f"x{index}"] = located[label].cast(pa.float64())
    return _merged(None, pa.table(columns), "key")


def _label_counts(located: pa.Table, labels: Sequence[str]) -> pa.Table:
    sets = located[SETS].combine_chunks()
    keys = located[KEY].combine_chunks().take(pc.list_parent_indices(sets))
    codes = pc.index_in(pc.list_flatten(sets), value_set=pa.array(labels, pa.string()))
    return _merged(None, pa.table({"key": keys, "label": codes, "count": pa.repeat(1, len(keys))}), "key", "label")


def _merged(total: pa.Table | None, more: pa.Table, *keys: str) -> pa.Table:
    """One row for each value of the keys, from two tables with the same columns."""
    table = more if total is None else pa.concat_tables([total, more])
    kinds = {"first": "min", "last": "max", "x": "max"}
    names = [name for name in table.column_names if name not in keys]
    aggregates = [(name, kinds.get(name) or kinds.get(name[0], "sum")) for name in names]
    grouped = table.group_by(list(keys)).aggregate(aggregates)
    return grouped.select([*keys, *(f"{name}_{kind}" for name, kind in aggregates)]).rename_columns([*keys, *names])


def _means(sums: pa.Table) -> pa.Table:
    """The sums without their key, and with means instead of sums of probabilities."""
    counts = sums["count"].cast(pa.float64())
    averaged = {name for name in sums.column_names if name[0] == "m"} | {"confidence", "valence"}
    columns = {name: pc.divide(sums[name], counts) if name in averaged else sums[name] for name in sums.column_names[1:]}
    return pa.table(columns)


def _leading(sums: pa.Table, counts: pa.Table | None, labels: int) -> pa.Array:
    """The index of the leading label of each group; ties by the mean, then in order."""
    if counts is None:
        best = pc.max_element_wise(*(sums[f"m{index}"] for index in range(labels)))
        matches = [pc.equal(sums[f"m{index}"], best) for index in range(labels)]
        return pc.case_when(pc.make_struct(*matches), *(pa.scalar(index, pa.int64()) for index in range(labels)))
    rows = {key: row for row, key in enumerate(sums["key"].to_pylist())}
    found: list[tuple[float, ...] | None] = [None] * sums.num_rows
    means = [sums[f"m{index}"].to_pylist() for index in range(labels)]
    for key, label, count in zip(*(counts[name].to_pylist() for name in ("key", "label", "count")), strict=True):
        row = rows[key]
        rank = (count, means[label][row], -label)
        if (best_rank := found[row]) is None or rank > best_rank:
            found[row] = rank
    return pa.array([None if rank is None else -int(rank[2]) for rank in found], pa.int64())


def _update_peaks(peaks: dict[int, Peak], located: pa.Table, labels: Sequence[str], candidates: Sequence[int]) -> None:
    values = highest(located, [labels[i] for i in candidates])
    rows = pa.table({"story": located[STORY], "place": located[PLACE], "value": values})
    best = rows.group_by("story").aggregate([("value", "max")])
    heights = best["value_max"].take(pc.index_in(rows["story"], value_set=best["story"].combine_chunks()))
    at_best = pc.equal(values, heights)
    found = located.filter(at_best).select([STORY, PLACE, *(labels[i] for i in candidates)])
    for story, place, *probabilities in zip(*(column.to_pylist() for column in found.columns), strict=True):
        height = max(probabilities)
        new = Peak(place, candidates[probabilities.index(height)], height)
        old = peaks.get(story)
        if old is None or (-new.probability, new.place) < (-old.probability, old.place):
            peaks[story] = new
