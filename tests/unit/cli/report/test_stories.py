"""Stories of a run, and their groups of paragraphs."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_cli.report import stories
from undertone_cli.report.bins import read_bins
from undertone_cli.report.stories import MAX_BINS, StoryPlan, StoryRange, common_name, title_of

LABELS = ["joy", "fear", "neutral"]


@st.composite
def scored_documents(draw: st.DrawFn) -> dict[str, dict[int, list[float]]]:
    """Documents with paragraphs at some positions, each with three probabilities."""
    rows = st.lists(st.integers(0, 1000).map(lambda value: value / 1000), min_size=3, max_size=3)
    paragraphs = st.dictionaries(st.integers(0, 300), rows, min_size=1, max_size=40)
    return draw(st.dictionaries(st.sampled_from("abc"), paragraphs, min_size=1))


def plan_of(documents: dict[str, dict[int, list[float]]], limit: int) -> StoryPlan:
    ranges = []
    for name, paragraphs in documents.items():
        first, last = min(paragraphs), max(paragraphs)
        ranges.append(StoryRange(name, first, last, len(paragraphs), min(limit, last - first + 1)))
    return StoryPlan(ranges, {name: (index, 0) for index, name in enumerate(documents)}, {})


def table_of(rows: list[tuple[str, int, list[float]]]) -> pa.Table:
    columns = {"document": [row[0] for row in rows], "position": [row[1] for row in rows]}
    return pa.table(columns | {label: [row[2][index] for row in rows] for index, label in enumerate(LABELS)})


@settings(max_examples=40, deadline=None)
@given(scored_documents(), st.integers(1, 5).map(lambda eighth: 8 * eighth), st.randoms(), st.integers(1, 4))
def test_groups_keep_every_paragraph_and_every_peak(
    documents: dict[str, dict[int, list[float]]], limit: int, random: object, parts: int
) -> None:
    rows = [(name, position, values) for name, found in documents.items() for position, values in found.items()]
    random.shuffle(rows)  # type: ignore[attr-defined]
    tables = [table_of(rows[part::parts]) for part in range(parts) if rows[part::parts]]
    bins = read_bins(tables, plan_of(documents, limit), LABELS, None)
    for index, found in enumerate(documents.values()):
        groups = bins.table.slice(bins.starts[index], bins.starts[index + 1] - bins.starts[index]).to_pylist()
        assert len(groups) <= limit
        assert sum(group["count"] for group in groups) == len(found)
        members = [[found[at] for at in sorted(found) if group["first"] <= at <= group["last"]] for group in groups]
        for group, inside in zip(groups, members, strict=True):
            assert group["count"] == len(inside)
            for label in range(3):
                assert group[f"m{label}"] == pytest.approx(sum(row[label] for row in inside) / len(inside))
                assert group[f"x{label}"] == max(row[label] for row in inside)
            assert group[f"m{group['leading']}"] == max(group[f"m{label}"] for label in range(3))
        peak = bins.peaks[index]
        assert peak.probability == max(max(row[:2]) for row in found.values())  # neutral does not count
        assert peak.place == min(at for at, row in found.items() if max(row[:2]) == peak.probability)
        assert found[peak.place][peak.label] == peak.probability


def test_the_total_of_groups_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stories, "MAX_TOTAL_BINS", 1000)
    assert stories._bins_per_story([100] * 10) == MAX_BINS
    limit = stories._bins_per_story([100] * 20)
    assert limit == 48
    assert stories._bins_per_story([100] * 500) == 8


@pytest.mark.parametrize(
    ("names", "common"),
    [
        (["chapter-1", "chapter-2", "chapter-10"], "chapter"),
        (["Emma 01", "Emma 02"], "Emma"),
        (["a", "b"], "all documents"),
        (["novel"], "novel"),
    ],
)
def test_common_name(names: list[str], common: str) -> None:
    assert common_name(names) == common


@pytest.mark.parametrize(
    ("document", "title"),
    [
        ("the-ninth-stair", "The ninth stair"),
        ("chapter_2", "Chapter 2"),
        ("Emma", "Emma"),
        ("a--b", "a--b"),
        ("", ""),
        ("<script>", "<script>"),
    ],
)
def test_title_of(document: str, title: str) -> None:
    assert title_of(document) == title
