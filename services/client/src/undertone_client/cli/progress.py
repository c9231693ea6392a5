"""How a run shows how far it is: a bar on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from undertone_client.job import Tally

LINE_SECONDS = 5.0
BAR_SECONDS = 0.1

Watch = Callable[[Tally], None]


class Pace:
    """Rate and time left. What was scored earlier does not count into the rate, as it costs nothing now."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()

    def rate(self, tally: Tally) -> float:
        """Paragraphs per second since the beginning."""
        seconds = self._clock() - self._began
        return (tally.scored + tally.failed) / seconds if seconds > 0 else 0.0

    def left(self, tally: Tally) -> float | None:
        """Seconds to the end, at this rate; None if that cannot be known."""
        rate = self.rate(tally)
        return (tally.total - tally.done) / rate if tally.total is not None and rate > 0 else None

    def describe(self, tally: Tally) -> str:
        """Rate and time left in words."""
        rate, left = self.rate(tally), self.left(tally)
        words = f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s"
        return words if left is None else f"{words}, {duration(left)} left"


def duration(seconds: float) -> str:
    """Seconds for people: `12 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


class Occasionally:
    """Calls through at most once in so many seconds."""

    def __init__(self, show: Watch, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._show = show
        self._seconds = seconds
        self._clock = clock
        self._last = clock()

    def __call__(self, tally: Tally) -> None:
        if self._clock() - self._last >= self._seconds:
            self._last = self._clock()
            self._show(tally)


@contextmanager
def progress(console: Console, tally: Tally) -> Iterator[Watch]:
    """What a run is to call with its tally."""
    pace = Pace()
    if not console.is_terminal:
        yield Occasionally(lambda now: console.print(_line(now, pace), highlight=False, soft_wrap=True), LINE_SECONDS)
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[pace]}"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(_counts(tally), total=tally.total, pace="")

        def show(now: Tally) -> None:
            bar.update(task, completed=now.done, description=_counts(now), pace=pace.describe(now))

        yield Occasionally(show, BAR_SECONDS)


def _line(tally: Tally, pace: Pace) -> str:
    return f"{_counts(tally)}, {pace.describe(tally)}"


def _counts(tally: Tally) -> str:
    of = "" if tally.total is None else f" of {tally.total:,}"
    failed = f", {tally.failed:,} failed" if tally.failed else ""
    return f"{tally.done:,}{of} paragraphs{failed}"
