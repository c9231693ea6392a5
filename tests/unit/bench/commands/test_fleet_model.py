import pytest
from undertone_bench.commands.fleet_model import _Comparison, _Outcome, _report


def test_the_report_shows_the_largest_deviations_and_no_value_without_readers() -> None:
    job = _Comparison(2, "a batch job", _Outcome(1000.0, 0.0, 0.0, 0), _Outcome(1080.0, 0.0, 0.0, 0))
    readers = _Comparison(3, "readers", _Outcome(0.0, 0.100, 0.400, 1), _Outcome(0.0, 0.090, 0.240, 0))
    assert job.deviation("rate") == pytest.approx(0.08)
    assert job.deviation("p50") is None
    summary = _report("emotions-fp32-fake", [job, readers], ["2 pods: idle."]).summary
    assert summary.table.rows == (
        ("2", "a batch job", "1000, 1080 (+8%)", "–", "–"),
        ("3", "readers", "–", "100, 90 (-10%)", "400, 240 (-40%)"),
    )
    met = {figure.name: figure.goal.is_met(figure.value) for figure in summary.figures if figure.goal}
    assert met == {
        "largest deviation of the predicted throughput": True,
        "largest deviation of the predicted p50": True,
        "largest deviation of the predicted p99": False,
    }
    assert summary.figures[-1].value.median == 1
