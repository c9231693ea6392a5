"""Numbers and bars as text, for the terminal and for the report."""

from collections.abc import Mapping
from datetime import UTC, datetime

NO_LABEL = "(no label)"
"""In place of the labels of a paragraph that has none."""

BAR_CELLS = 40
EIGHTHS = " ▏▎▍▌▋▊▉"


def percent(share: float) -> str:
    """A share as an integer percentage; `<1%` and `>99%` instead of a rounded 0% and 100%."""
    if 0 < share < 0.005:
        return "<1%"
    if 0.995 <= share < 1:
        return ">99%"
    return f"{share:.0%}"


def signed(value: float) -> str:
    """A number from -1 to 1 with its sign and two decimals: `+0.25`, `−0.10` or `0.00`."""
    text = f"{value:+.2f}".replace("-", "−")
    return "0.00" if text[1:] == "0.00" else text


def points(difference: float) -> str:
    """A difference of two shares in percentage points, with its sign: `+3.1`, `−0.4` or `0.0`."""
    text = f"{100 * difference:+.1f}".replace("-", "−")
    return "0.0" if text[1:] == "0.0" else text


def number(value: float) -> str:
    """A number with thousands separators, with one decimal if it is a fraction below ten."""
    if value < 10 and value != int(value):
        return f"{value:.1f}"
    return f"{value:,.0f}"


def date_and_time(time: datetime) -> str:
    """`5 March 2025, 14:07 UTC`."""
    time = time.astimezone(UTC)
    return f"{time.day} {time:%B %Y, %H:%M} UTC"


def bar(fraction: float) -> str:
    """A bar of up to BAR_CELLS cells, with a resolution of an eighth of a cell."""
    cells, eighths = divmod(round(fraction * BAR_CELLS * 8), 8)
    return ("█" * cells + EIGHTHS[eighths]).rstrip()


def by_frequency(statuses: Mapping[str, int]) -> list[tuple[str, int]]:
    """gRPC statuses and their counts: OK first, then by descending count."""
    return sorted(statuses.items(), key=lambda pair: (pair[0] != "OK", -pair[1], pair[0]))
