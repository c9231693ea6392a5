"""Paths and charts."""

import re
from dataclasses import replace
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_cli.report import write_report
from undertone_cli.report.charts import WIDTH, area_path, line_path
from undertone_cli.report.throughput_chart import CALLS_HEIGHT, RATE_HEIGHT, Interval, throughput_chart
from undertone_cli.run_folder import Sample, Throughput
from undertone_cli.run_folder.throughput import MAX_SAMPLES
from undertone_cli.scoring.monitor import RunCounts, RunMonitor
from undertone_client import BreakerState, CallCounts, ClientState

from tests.unit.support.scored_folder import Point, ScoredFolder

shares = st.lists(st.floats(0, 1), min_size=2, max_size=130)


def vertices(path: str) -> list[tuple[int, int]]:
    """The points of a path of one absolute move and relative lines."""
    numbers = [int(number) for number in re.findall(r"-?\d+", path.split("V")[0])]
    return list(zip(accumulate(numbers[::2]), accumulate(numbers[1::2]), strict=True))


@settings(max_examples=40, deadline=None)
@given(shares)
def test_line_passes_through_its_values(values: list[float]) -> None:
    points = vertices(line_path(values, width=1200, base=1000, height=1000))
    assert [points[0][0], points[-1][0]] == [0, 1200]
    assert [(1000 - y) / 1000 for _, y in points] == pytest.approx(values, abs=0.0005)


def test_area_returns_to_its_base() -> None:
    assert area_path([0.5, 0.5], width=10, base=100, height=100) == "M0 50l10 0V100H0z"


IDLE = ClientState(in_flight=0, waiting=0, backing_off=0, limit=4, breaker=BreakerState.CLOSED, counts=CallCounts())


EVEN = Sample(seconds=0, paragraphs=0, in_flight=2, limit=4, breaker=BreakerState.CLOSED)


def sample(seconds: float, paragraphs: int, **others: Any) -> Sample:
    return replace(EVEN, seconds=seconds, paragraphs=paragraphs, **others)


def test_constant_rate_is_a_horizontal_line() -> None:
    chart = throughput_chart([sample(second, 100 * second, limit=8) for second in range(11)])
    assert chart is not None
    assert (chart.mean_rate, chart.peak_rate, chart.seconds) == (100, 100, 10)
    assert (chart.highest_limit, chart.last_limit, chart.max_in_flight) == (8, 8, 2)
    assert re.fullmatch(r"M0 0l(\d+ 0 ?)+", chart.rate_line)
    assert chart.in_flight_area.startswith(f"M0 {CALLS_HEIGHT * 3 // 4}l")
    assert chart.breaker_intervals == ()


def test_open_breaker_is_marked() -> None:
    states = [BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN, BreakerState.CLOSED, BreakerState.OPEN]
    chart = throughput_chart([sample(second, 10 + second, breaker=state) for second, state in enumerate(states)])
    assert chart is not None
    assert chart.breaker_intervals == (Interval(WIDTH // 4, WIDTH // 2), Interval(WIDTH, 1))


def test_chart_follows_changes_of_the_rate() -> None:
    stretches = [(90.0, 248), (60.0, 72), (30.0, 0), (420.0, 300)]  # seconds, and paragraphs a second
    now, counts, throughput = 0.0, RunCounts(), Throughput()
    monitor = RunMonitor(counts, throughput, lambda: IDLE, 0.0, clock=lambda: now)
    monitor.sample()
    for seconds, rate in stretches:
        for _ in range(round(seconds * 4)):
            now += 0.25
            counts.scored += rate // 4
            monitor.notify()
    monitor.sample()
    chart = throughput_chart(throughput.samples)
    assert chart is not None
    assert chart.seconds == 600
    assert chart.mean_rate == pytest.approx(counts.scored / 600)
    start, moves = chart.rate_line.removeprefix("M0 ").split("l")
    heights = list(accumulate(map(int, moves.split()[1::2]), initial=int(start)))
    rates = [chart.peak_rate * (1 - height / RATE_HEIGHT) for height in heights]
    moments = [600 * index / (len(rates) - 1) for index in range(len(rates))]
    end = 0.0
    for seconds, rate in stretches:
        begin, end = end, end + seconds
        within = [rates[index] for index, moment in enumerate(moments) if begin + 10 <= moment <= end - 10]
        assert within
        assert within == [pytest.approx(rate, abs=8)] * len(within)


@pytest.mark.parametrize(
    "samples", [[], [sample(0, 0), sample(1, 5), sample(2, 9)], [sample(second, 0) for second in range(9)]]
)
def test_no_chart_of_too_few_samples(samples: list[Sample]) -> None:
    assert throughput_chart(samples) is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.0, 0.001, 0.5, 3.0, 600.0]), st.integers(0, 500)), min_size=1, max_size=600))
def test_chart_stays_within_its_frame(steps: list[tuple[float, int]]) -> None:
    throughput, seconds, paragraphs = Throughput(), 0.0, 0
    for wait, done in steps:
        seconds, paragraphs = seconds + wait, paragraphs + done
        throughput.add(sample(seconds, paragraphs, in_flight=done % 7))
    samples = throughput.samples
    assert len(samples) <= MAX_SAMPLES
    assert (samples[0].seconds, samples[-1].paragraphs) == (steps[0][0], paragraphs)
    chart = throughput_chart(samples)
    if chart is not None:
        for path, height in ((chart.rate_line, RATE_HEIGHT), (chart.limit_line, CALLS_HEIGHT)):
            start, moves = path.removeprefix("M0 ").split("l")
            x, y = 0, int(start)
            numbers = [int(number) for number in moves.split()]
            for dx, dy in zip(numbers[::2], numbers[1::2], strict=True):
                x, y = x + dx, y + dy
                assert 0 <= y <= height
            assert x == WIDTH


def test_page_shows_throughput_and_calls(scored: ScoredFolder, point: Point) -> None:
    scored.add("a", point("joy"))
    scored.throughput = tuple(sample(second, 50 * second) for second in range(9))
    scored.calls = CallCounts(
        attempts={"UNAVAILABLE": 5, "OK": 95}, recovered=4, retried=5, failed_paragraphs={"UNAVAILABLE": 32}
    )
    page = write_report(scored.write(), scored.path / "page.html").read_text(encoding="utf-8")
    words = " ".join(re.sub(r"<(style|script)>.*?</\1>|<[^>]+>", " ", page, flags=re.DOTALL).split())
    assert "50 paragraphs per second on average, 50 at the peak, with up to 2 calls in flight." in words
    assert "gRPC status Attempts Share OK 95 95% UNAVAILABLE 5 5%" in words
    assert "Errors 5 Recovered 4 Retried 5 Hedged 0 Shed 0 Paragraphs failed 32" in words


def test_page_of_a_short_run_has_no_throughput_chart(scored: ScoredFolder, point: Point) -> None:
    scored.add("a", point("joy"))
    page = write_report(scored.write(), scored.path / "page.html").read_text(encoding="utf-8")
    assert "<h3>Throughput</h3>" not in page
    assert "<h3>Calls</h3>" not in page
