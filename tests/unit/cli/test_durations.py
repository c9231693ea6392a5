"""Durations in words."""

import pytest
from undertone_cli.formatting import duration


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "0.0 s"),
        (4.24, "4.2 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.9, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3599.7, "1 h 00 min"),
        (7801, "2 h 10 min"),
        (4_000_000, "1,111 h 06 min"),
    ],
)
def test_seconds_are_written_for_people(seconds: float, words: str) -> None:
    assert duration(seconds) == words
