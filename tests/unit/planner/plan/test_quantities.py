import pytest
from hypothesis import given
from hypothesis import strategies as st
from undertone_planner.plan.quantities import cpu_text, duration_text, parse_cpus, parse_duration, parse_memory


@pytest.mark.parametrize(
    ("text", "seconds"), [("96h", 345_600), ("4d", 345_600), ("90m", 5400), ("1h30m", 5400), ("45 min", 2700), ("1.5h", 5400)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "96", "h", "1h x", "0h", "-1h"])
def test_wrong_durations_show_examples(text: str) -> None:
    with pytest.raises(ValueError, match="use for example 96h"):
        parse_duration(text)


@given(st.integers(1, 64_000))
def test_cpus_are_read_as_they_are_written(millicores: int) -> None:
    assert parse_cpus(cpu_text(millicores / 1000)) == pytest.approx(millicores / 1000)


def test_memory() -> None:
    assert [parse_memory(text) for text in ("4Gi", "3584Mi", "1k", 1024)] == [2**32, 3584 * 2**20, 1000, 1024]


def test_duration_text() -> None:
    assert [duration_text(seconds) for seconds in (42, 600, 7200, 345_600)] == ["42 s", "10 min", "2.0 h", "96.0 h"]
