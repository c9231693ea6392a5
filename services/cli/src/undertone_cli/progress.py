"""How a run shows how far it is: a live view on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.text import Text
from undertone_client import BreakerState, ClientState

from undertone_cli.job import Tally
from undertone_cli.pace import Pace

LINE_SECONDS = 5.0
VIEW_SECONDS = 0.1

Watch = Callable[[Tally, ClientState], None]


class Occasionally:
    """Calls through at most once in so many seconds."""

    def __init__(self, show: Watch, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._show = show
        self._seconds = seconds
        self._clock = clock
        self._last = clock()

    def __call__(self, tally: Tally, state: Callable[[], ClientState]) -> None:
        """Show the tally, and the state, which is asked for only then."""
        if self._clock() - self._last >= self._seconds:
            self._last = self._clock()
            self._show(tally, state())


@contextmanager
def progress(
    console: Console, tally: Tally, clock: Callable[[], float] = time.monotonic, *, say: Callable[[str], None]
) -> Iterator[Occasionally]:
    """What a run is to call with its tally. Where the console is no terminal, or is quiet, lines are given to `say`."""
    pace = Pace(clock)
    if console.quiet or not console.is_terminal:

        def tell(now: Tally, state: ClientState) -> None:
            say(f"{_counts(now)}, {pace.describe(now)}; {describe(state)}")

        yield Occasionally(tell, LINE_SECONDS, clock)
        return
    bar = Progress(SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[pace]}"))
    task = bar.add_task(_counts(tally), total=tally.total, pace="")
    with Live(bar, console=console, transient=True) as live:

        def show(now: Tally, state: ClientState) -> None:
            bar.update(task, completed=now.done, description=_counts(now), pace=pace.describe(now))
            style = "dim" if state.breaker is BreakerState.CLOSED else "bold yellow"
            live.update(Group(bar, Text(f"  {describe(state)}", style)))

        yield Occasionally(show, VIEW_SECONDS, clock)


def describe(state: ClientState) -> str:
    """What the client is doing, in words: calls in flight and their limit, the circuit breaker, attempts by gRPC status."""
    words = [f"{state.in_flight} of {state.limit} calls in flight", f"breaker {state.breaker}"]
    words += [f"{count:,} {status}" for status, count in by_frequency(state.counts.attempts)]
    return ", ".join(words)


def by_frequency(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Statuses and how often each came, OK first, then the most frequent."""
    return sorted(counts.items(), key=lambda pair: (pair[0] != "OK", -pair[1], pair[0]))


def _counts(tally: Tally) -> str:
    of = "" if tally.total is None else f" of {tally.total:,}"
    failed = f", {tally.failed:,} failed" if tally.failed else ""
    return f"{tally.done:,}{of} paragraphs{failed}"
