"""The forecast of a job's end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from undertone_telemetry.forecast import WINDOW_SECONDS, Forecast, Forecaster

HOUR = 3600.0


def test_the_forecast_follows_the_rate_of_the_last_minutes() -> None:
    forecaster = Forecaster(finish_by=10 * HOUR)
    # The fleet scales up: 1 paragraph/s for ten minutes, then 10.
    finished = 0
    for second in range(0, 1200, 5):
        finished += 5 if second < 600 else 50
        forecast = forecaster.observe(float(second), finished, 100_000 - finished)
        assert (forecast is None) == (second < WINDOW_SECONDS)
    assert forecast is not None
    assert forecast.rate == pytest.approx(10)
    assert forecast.ends_at == pytest.approx(1195 + (100_000 - finished) / 10)
    assert not forecast.late


def test_a_late_job_says_what_would_meet_the_time() -> None:
    forecast = Forecast(at=0.0, finish_by=8 * HOUR, backlog=1_234_567, rate=12.3)
    assert forecast.late
    assert forecast.explanation == (
        "at 12.3 paragraphs/s, the 1,234,567 paragraphs left need 1 day 3 h, but --finish-by leaves 8 h. 42.9 paragraphs/s "
        "would meet it, 3.5 times the rate: allow as many times the pods (autoscaling.maxReplicas) and calls of the job "
        "(--limit), or use a later time."
    )


def test_a_job_after_its_time_continues() -> None:
    passed = Forecast(2 * HOUR, HOUR, 600, 1.0)
    assert passed.explanation == (
        "at 1.0 paragraphs/s, the 600 paragraphs left need 10 min, but the time of --finish-by passed 1 h ago. "
        "The job continues."
    )


def test_short_jobs_have_a_short_warm_up_and_a_lost_count_starts_again() -> None:
    forecaster = Forecaster(finish_by=100.0)
    assert forecaster.observe(0.0, 10, 90) is None
    assert forecaster.observe(5.0, 20, 80) is None
    forecast = forecaster.observe(10.0, 30, 70)
    assert forecast is not None
    assert (forecast.rate, forecast.late) == (2.0, False)
    assert forecaster.observe(11.0, 5, 195) is None
    forecast = forecaster.observe(12.0, 6, 194)
    assert forecast is not None
    assert (forecast.rate, forecast.late) == (1.0, True)


def test_long_tasks_give_the_mean_rate_and_no_pause_counts_as_an_end() -> None:
    """A Spark job counts the paragraphs of a task when the task ends, here every ten minutes."""
    forecaster = Forecaster(finish_by=100 * HOUR)
    rates = []
    for second in range(0, 6000, 5):
        finished = 6000 * (1 + second // 600)
        forecast = forecaster.observe(float(second), finished, 10**6)
        assert (forecast is None) == (second < 600)
        if forecast is not None:
            rates.append(forecast.rate)
    assert 4.9 < min(rates) < 10 < max(rates) < 21


def test_a_stuck_job_is_late_sooner_or_later() -> None:
    forecaster = Forecaster(finish_by=4 * HOUR)
    finished, late = 0, False
    for second in range(int(3 * HOUR)):
        finished += second < 1000
        forecast = forecaster.observe(float(second), finished, 10_000 - finished)
        late = forecast is not None and forecast.late
        assert not (late and second < 1000)
    assert late


@given(st.floats(0, 1e6), st.floats(1, 1e6), st.integers(0, 10**9), st.floats(0.001, 1e6))
def test_a_job_is_late_only_if_its_end_is_after_its_time(at: float, finish_by: float, backlog: int, rate: float) -> None:
    forecast = Forecast(at, finish_by, backlog, rate)
    assert forecast.ends_at >= at
    if forecast.late:
        assert forecast.ends_at > finish_by
        assert forecast.explanation
    if not backlog:
        assert not forecast.late
