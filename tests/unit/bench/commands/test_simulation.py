"""The commands `simulation paper` and `simulation ready`, with results of stub scenarios."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from undertone_bench.commands.simulation import simulation
from undertone_planner.fleet.course import Course
from undertone_planner.scenarios.paper_comparison import Comparison
from undertone_planner.scenarios.readiness import JobRun, SpotRun
from undertone_planner.scenarios.readiness_example import Row


def printed(*arguments: str, folder: Path) -> str:
    result = CliRunner().invoke(simulation, [*arguments, "--output", str(folder)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def test_paper_prints_paper_model_and_undertone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    scales: list[int] = []

    def compare(_: object, *, scale: int) -> Iterator[Comparison]:
        scales.append(scale)
        yield Comparison("Table 2, semaphore 10", "paragraphs/s", 170.0, 180.2, 300.0, "66 of 66 pods ready, 0 restarts")
        yield Comparison("Figure 2, peak", "paragraphs/min", 18_000.0, 18_150.4, None, "")
        yield Comparison("Table 2, semaphore 75", "paragraphs/s", None, 3.1, 300.0, "scaling fails")

    monkeypatch.setattr("undertone_planner.scenarios.paper_comparison.compare", compare)
    output = printed("paper", folder=tmp_path)
    assert "Table 2, semaphore 10 paragraphs/s 170 180.2 +6.0% 300 66 of 66 pods ready" in output
    assert "Figure 2, peak paragraphs/min 18,000 18,150 +0.8% -" in output
    assert "Table 2, semaphore 75 paragraphs/s - 3.1 - 300 scaling fails" in output
    printed("paper", "--quick", folder=tmp_path)
    assert scales == [1, 30]


def test_ready_prints_the_times_of_each_scenario(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    course = Course.__new__(Course)

    def rows(_: object) -> Iterator[Row]:
        yield Row("from zero", JobRun(3243.8, 0, 235.0, 40, 185.0, 301.2, course))
        yield Row("spot", SpotRun(8_000_000, 0, 6, 0, 0.0641))

    monkeypatch.setattr("undertone_planner.scenarios.readiness_example.rows", rows)
    output = printed("ready", folder=tmp_path)
    assert "from zero 185 s 235 s 3244 s 301 s 0 -" in output
    assert "spot (6 nodes) - - - - 0 0 failed, p99 64 ms" in output
