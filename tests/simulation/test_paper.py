"""The paper's figures, on a fifth of its cluster with calls that take six times as long.

The whole cluster needs some minutes: `undertone-bench simulation paper`.
"""

import math
from dataclasses import replace

import pytest
from undertone_planner.errors import PlannerError
from undertone_planner.fleet.autoscaler import AutoscalerSettings
from undertone_planner.fleet.course import Course, Sample
from undertone_planner.scenarios.paper import PAPER, PaperResult, plain, undertone
from undertone_planner.scenarios.paper_comparison import compare

PODS, TIME = 5, 6
SMALL = PAPER.scaled_down(pods=PODS, time=TIME)


@pytest.fixture(scope="module")
def by_semaphore() -> dict[int, PaperResult]:
    return {semaphore: plain(semaphore, SMALL) for semaphore in (10, 50, 75)}


def test_the_parameters_are_those_of_the_paper() -> None:
    assert PAPER.capacity == pytest.approx(300)
    assert SMALL.capacity == pytest.approx(10)
    assert PAPER.fleet.autoscaler is not None
    assert PAPER.fleet.autoscaler.target_utilization == 0.7
    assert isinstance(SMALL.fleet.autoscaler, AutoscalerSettings)
    assert SMALL.fleet.autoscaler.max_replicas == 20


def test_throughput_rises_with_the_semaphore_until_the_fleet_stops_scaling(by_semaphore: dict[int, PaperResult]) -> None:
    ten, fifty, seventy_five = by_semaphore.values()
    for stable in (ten, fifty):
        assert (stable.restarts, stable.failed) == (0, 0)
    assert 0.55 < ten.final_rate / SMALL.capacity < 0.75
    assert fifty.final_rate / SMALL.capacity > 0.95
    assert fifty.scaled_seconds is not None
    # Overloaded pods restart before new ones are ready, and the autoscaler sees few ready pods.
    assert seventy_five.restarts > 20
    assert seventy_five.failed > 100
    assert seventy_five.scaled_seconds is None
    assert seventy_five.final_rate < 0.2 * ten.final_rate


def test_undertone_needs_no_semaphore_and_scales_in_one_step(by_semaphore: dict[int, PaperResult]) -> None:
    result = undertone(replace(SMALL, call_paragraphs=3))
    assert (result.restarts, result.failed) == (0, 0)
    assert result.final_rate / SMALL.capacity > 0.9
    assert result.scaled_seconds is not None
    best = by_semaphore[50]
    assert best.scaled_seconds is not None
    assert result.scaled_seconds < best.scaled_seconds / 2
    assert result.answered > best.answered


def test_a_long_job_is_extrapolated_from_its_first_hour_and_its_final_rate() -> None:
    samples = [Sample(60.0 * minute, 4, 4, 0, max(0, 600 * (minute - 30)), 0) for minute in range(61)]
    course = Course.__new__(Course)
    course.samples = samples
    result = PaperResult("x", 18_000, 0, course, 0, 3600.0, 4)
    assert result.final_rate == pytest.approx(10)
    assert result.peak_per_minute == 600
    assert result.hours(18_000 + 36_000, starts=1) == pytest.approx(2)
    assert result.hours(4 * 18_000 + 36_000, starts=4) == pytest.approx(5)


def test_a_cluster_without_an_autoscaler_cannot_be_scaled_down() -> None:
    with pytest.raises(PlannerError, match="no autoscaler"):
        replace(PAPER, fleet=replace(PAPER.fleet, autoscaler=None)).scaled_down(pods=2, time=2)


def test_the_comparison_has_the_figures_of_the_paper(monkeypatch: pytest.MonkeyPatch) -> None:
    course = Course.__new__(Course)
    course.samples = [Sample(60.0 * minute, 100, 100, 25, 18_000 * minute, 0) for minute in range(61)]
    result = PaperResult("x", 18_000 * 60, 0, course, 0, 3600.0, 100)
    monkeypatch.setattr("undertone_planner.scenarios.paper_comparison.plain", lambda *_: result)
    monkeypatch.setattr("undertone_planner.scenarios.paper_comparison.undertone", lambda *_: result)
    rows = {row.name: row for row in compare()}
    assert [rows[f"Table 2, semaphore {semaphore}"].paper for semaphore in (10, 25, 50)] == [170, 256.7, 298.3]
    assert rows["Table 2, semaphore 10"].difference == pytest.approx(300 / 170 - 1)
    assert rows["Table 2, semaphore 75"].difference is None
    assert rows["Figure 2, peak"].model == 18_000
    assert rows["95 million paragraphs"].model == pytest.approx(95e6 / 300 / 3600)
    assert not any(math.isnan(row.model) for row in rows.values() if row.model is not None)
