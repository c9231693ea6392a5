"""Numbers, durations and bars as text."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from undertone_cli.formatting import BAR_CELLS, bar, date_and_time, number, percent, points, signed


def test_length_of_a_bar_is_proportional() -> None:
    assert bar(1.0) == "█" * BAR_CELLS
    assert bar(0.0) == ""
    assert len(bar(0.5)) == BAR_CELLS // 2


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.0, "0%"), (0.001, "<1%"), (0.126, "13%"), (0.994, "99%"), (0.9951, ">99%"), (1.0, "100%")],
)
def test_shares_are_never_rounded_to_0_or_100_percent(share: float, expected: str) -> None:
    assert percent(share) == expected


@pytest.mark.parametrize(("value", "expected"), [(0, "0"), (7, "7"), (7.25, "7.2"), (187.4, "187"), (1234567, "1,234,567")])
def test_numbers_have_separators_and_at_most_one_decimal(value: float, expected: str) -> None:
    assert number(value) == expected


def test_date_and_time_is_in_utc() -> None:
    assert date_and_time(datetime(2025, 3, 5, 0, 30, tzinfo=timezone(timedelta(hours=1)))) == "4 March 2025, 23:30 UTC"
    assert date_and_time(datetime(2025, 3, 5, 14, 7, tzinfo=UTC)) == "5 March 2025, 14:07 UTC"


def test_signed_numbers_have_a_minus_and_no_signed_zero() -> None:
    assert [signed(value) for value in (0.254, -0.1, 0.001, -0.001, 1)] == ["+0.25", "−0.10", "0.00", "0.00", "+1.00"]
    assert [points(value) for value in (0.031, -0.004, -0.0001)] == ["+3.1", "−0.4", "0.0"]
