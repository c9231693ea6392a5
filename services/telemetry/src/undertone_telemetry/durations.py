"""Durations as text."""


def duration(seconds: float) -> str:
    """A duration for people, such as "4.2 s", "3 min 20 s", "8 h 5 min" or "4 days 2 h"."""
    if 0 < seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    days, rest = divmod(whole, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    units = [(days, "day" if days == 1 else "days"), (hours, "h"), (minutes, "min"), (rest, "s")]
    first = next((index for index, (count, _) in enumerate(units) if count), len(units) - 1)
    shown = units[first : first + 2]
    return " ".join(f"{count} {unit}" for position, (count, unit) in enumerate(shown) if count or not position)
