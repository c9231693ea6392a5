"""How the page writes numbers."""

from datetime import UTC, datetime


def percent(share: float) -> str:
    """A share as whole percent; what is only nearly nothing or nearly everything is not rounded to it."""
    if 0 < share < 0.005:
        return "<1%"
    if 0.995 <= share < 1:
        return ">99%"
    return f"{share:.0%}"


def number(value: float) -> str:
    """A count with separators; below ten, a fraction keeps one decimal."""
    if value < 10 and value != int(value):
        return f"{value:.1f}"
    return f"{value:,.0f}"


def moment(time: datetime) -> str:
    """A time as `5 March 2025, 14:07 UTC`."""
    time = time.astimezone(UTC)
    return f"{time.day} {time:%B %Y, %H:%M} UTC"


def paragraph_number(position: int) -> int:
    """Paragraphs are counted from one on the page, from zero in the scores."""
    return position + 1
