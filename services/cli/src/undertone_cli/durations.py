"""Durations in words, as every command and page of the client writes them."""


def duration(seconds: float) -> str:
    """Seconds for people: `4.2 s`, `12 s`, `3 min 05 s`, `2 h 05 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60:,} h {minutes % 60:02d} min"
