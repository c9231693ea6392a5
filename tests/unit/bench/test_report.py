from dataclasses import replace
from pathlib import Path

import pytest
from undertone_bench.errors import BenchError
from undertone_bench.report import Goal, MedianRange, Report, Summary

from tests.unit.support.bench_reports import a_report


def test_a_range_has_the_median_and_the_extremes() -> None:
    assert MedianRange.of([5.0, 1.0, 2.0]) == MedianRange(2.0, 1.0, 5.0)
    assert f"{MedianRange.of([5.0, 1.0, 2.0]):.1f}" == "2.0 (1.0 to 5.0)"
    assert f"{MedianRange.of([2.0, 2.0]):.1f}" == "2.0"


def test_ratios_are_computed_within_each_round() -> None:
    assert MedianRange.of_ratios([10.0, 100.0, 30.0], [1.0, 10.0, 2.0]) == MedianRange(10.0, 10.0, 15.0)
    with pytest.raises(ValueError, match="longer"):
        MedianRange.of_ratios([1.0], [1.0, 2.0])


@pytest.mark.parametrize(
    ("goal", "met"), [(Goal("at least", 2.0), True), (Goal("at least", 2.1), False), (Goal("at most", 1.9), False)]
)
def test_goals_are_bounds_on_the_median(goal: Goal, met: bool) -> None:
    assert goal.is_met(MedianRange(2.0, 0.0, 9.0)) is met


def test_a_report_is_read_as_written_without_its_plot(tmp_path: Path) -> None:
    report = a_report()
    assert Report.read(report.write(tmp_path)) == replace(report, plot=None)


def test_a_summary_is_read_as_written(tmp_path: Path) -> None:
    summary = a_report().summary
    assert Summary.read(summary.write(tmp_path)) == summary


def test_a_summary_has_one_line_per_row_and_figure(tmp_path: Path) -> None:
    lines = a_report().summary.write(tmp_path).read_text().splitlines()
    assert '   ["undertone", "3.0"]' in lines
    assert sum('"name": ' in line for line in lines) == 2


@pytest.mark.parametrize("content", ["{", "[]", '{"benchmark": "throughput"}'])
def test_other_files_are_an_error_with_their_path(tmp_path: Path, content: str) -> None:
    path = tmp_path / "throughput-tiny.json"
    path.write_text(content)
    for read in (Report.read, Summary.read):
        with pytest.raises(BenchError, match="throughput-tiny"):
            read(path)
