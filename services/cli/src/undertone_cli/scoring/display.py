"""Progress and summary of a run on the terminal."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text
from undertone_client import BreakerState, CallCounts, ClientState
from undertone_telemetry.durations import duration

from undertone_cli.flag_reasons import describe_flags
from undertone_cli.formatting import bar, by_frequency
from undertone_cli.readers import InputSet, printable
from undertone_cli.run_folder import Manifest
from undertone_cli.scoring.monitor import GetState, RunCounts

LINE_SECONDS = 5.0
"""Interval of progress lines where the output is not a terminal."""
VIEW_SECONDS = 0.1
"""Interval of updates of the live view on a terminal."""
MAX_LABELS = 20
"""Labels in the summary."""
RATE_SECONDS = 30.0
"""Time over which the rate is averaged."""


class ThrottledCallback:
    """Calls `callback` at most once in `seconds`."""

    def __init__(
        self, callback: Callable[[RunCounts, ClientState], None], seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._callback = callback
        self._seconds = seconds
        self._clock = clock
        self._last = clock()

    def __call__(self, counts: RunCounts, get_state: GetState) -> None:
        """Call `callback` with the counts and the client's state, unless it is too early."""
        if self._clock() - self._last >= self._seconds:
            self._last = self._clock()
            self._callback(counts, get_state())


class RateEstimate:
    """Paragraphs per second, and the time left. Paragraphs of earlier runs do not count."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._points = deque([(clock(), 0)])

    def rate(self, counts: RunCounts) -> float:
        """Paragraphs per second in the last RATE_SECONDS."""
        now, done = self._clock(), counts.scored + counts.failed
        if now - self._points[-1][0] >= 1:
            self._points.append((now, done))
        while len(self._points) > 1 and now - self._points[1][0] >= RATE_SECONDS:
            self._points.popleft()
        start, done_at_start = self._points[0]
        return (done - done_at_start) / (now - start) if now > start else 0.0

    def describe(self, counts: RunCounts) -> str:
        """The rate, and the time left if the total is known."""
        rate = self.rate(counts)
        text = f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s"
        if counts.total is None or rate == 0:
            return text
        return f"{text}, {duration((counts.total - counts.done) / rate)} left"


@contextmanager
def reading_display(console: Console, inputs: InputSet) -> Iterator[Callable[[int], None]]:
    """Shows how much of the inputs was read before a run, on a terminal. Yields a callback.

    Args:
        console: the console.
        inputs: their size is requested only on a terminal, with a call for each object of a store.
    """
    if console.quiet or not console.is_terminal:
        yield lambda count: None
        return
    columns = (SpinnerColumn(), TextColumn("Reading the inputs"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=console, transient=True) as view:
        task = view.add_task("", total=inputs.size)
        yield lambda count: view.advance(task, count)


@contextmanager
def progress_display(
    console: Console, counts: RunCounts, clock: Callable[[], float] = time.monotonic, *, print_line: Callable[[str], None]
) -> Iterator[ThrottledCallback]:
    """Shows the progress: a live view on a terminal, else a line every LINE_SECONDS.

    The run calls the returned object after each change.
    """
    estimate = RateEstimate(clock)
    if console.quiet or not console.is_terminal:

        def show_line(counts: RunCounts, state: ClientState) -> None:
            print_line(f"{_describe_counts(counts)}, {estimate.describe(counts)}; {describe_state(state)}")

        yield ThrottledCallback(show_line, LINE_SECONDS, clock)
        return
    view = Progress(SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[rate]}"))
    task = view.add_task(_describe_counts(counts), total=counts.total, rate="")
    # The terminal prints ^C at the cursor. At the end of a full line, ^C would start another line,
    # and the view would be one line higher than what is erased.
    cursor_line = Text("")
    with Live(Group(view, cursor_line), console=console, transient=True) as live:

        def show_view(counts: RunCounts, state: ClientState) -> None:
            view.update(task, completed=counts.done, description=_describe_counts(counts), rate=estimate.describe(counts))
            style = "dim" if state.breaker is BreakerState.CLOSED else "bold yellow"
            live.update(Group(view, Text(f"  {describe_state(state)}", style), cursor_line))

        yield ThrottledCallback(show_view, VIEW_SECONDS, clock)


def describe_state(state: ClientState) -> str:
    """Calls in flight and their limit, the circuit breaker, and attempts by gRPC status."""
    attempts = [f"{count:,} {status}" for status, count in by_frequency(state.counts.attempts)]
    return ", ".join([f"{state.in_flight} of {state.limit} calls in flight", f"breaker {state.breaker}", *attempts])


def _describe_counts(counts: RunCounts) -> str:
    total = "" if counts.total is None else f" of {counts.total:,}"
    failed = f", {counts.failed:,} failed" if counts.failed else ""
    return f"{counts.done:,}{total} paragraphs{failed}"


def show_summary(
    console: Console, folder: Path, manifest: Manifest, counts: RunCounts, calls: CallCounts, seconds: float
) -> None:
    """Prints the result of a run: paragraphs, calls and labels."""
    finished = counts.scored + counts.failed
    kept = f", and {counts.kept:,} kept from an earlier run" if counts.kept else ""
    failed = f", see {folder / '_failures.jsonl'}; the same command retries them" if counts.failed else ""
    rate = f", {finished / seconds:,.1f} paragraphs/s" if seconds and finished else ""
    rows = [("scored", f"{counts.scored:,}{kept}"), ("failed", f"{counts.failed:,}{failed}")]
    if counts.short:
        minimum = manifest.identity.options.min_characters
        rows.append(("skipped", f"{counts.short:,} with fewer than {minimum} characters, see --min-characters"))
    if counts.bad_lines:
        rows.append(("bad lines", f"{counts.bad_lines:,} were skipped, see {folder / '_bad_lines.jsonl'}"))
    if counts.repeated:
        rows.append(("repeated", f"{counts.repeated:,} of them were not sent, because another paragraph has the same text"))
    if counts.flags:
        flagged = (f"{count:,} {describe_flags(flag)}" for flag, count in counts.flags.most_common())
        rows.append(("not reliable", "; ".join(flagged)))
    rows += [
        ("tokens", f"{counts.tokens:,}"),
        ("calls", _describe_calls(calls)),
        ("time", f"{duration(seconds)}{rate}"),
        ("model", f"{manifest.identity.model}, {manifest.identity.policy}"),
        ("table", str(folder)),
    ]
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold")
    facts.add_column(overflow="fold")
    for name, value in rows:
        facts.add_row(name, Text(value))
    console.print(facts)
    if counts.kept + counts.scored:
        console.print()
        _show_labels(console, counts, multi_label=manifest.identity.multi_label)


def _show_labels(console: Console, counts: RunCounts, *, multi_label: bool) -> None:
    """Prints the share of the paragraphs with each label, by descending frequency."""
    paragraphs = counts.kept + counts.scored
    shown = counts.labels.most_common(MAX_LABELS)
    grid = Table.grid(padding=(0, 1))
    grid.add_column(justify="right")
    grid.add_column(justify="right")
    grid.add_column()
    for label, count in shown:
        share = count / paragraphs
        grid.add_row(Text(printable(label)), f"{share:.1%}", Text(bar(share), "cyan"))
    if multi_label:
        console.print("Share of the paragraphs with each label. A paragraph can have several labels, or none.")
        share = counts.unlabelled / paragraphs
        grid.add_row(Text("(no label)", "dim"), Text(f"{share:.1%}", "dim"), Text(bar(share), "dim"))
    console.print(grid)
    if (others := len(counts.labels) - len(shown)) > 0:
        console.print(f"{others} less frequent labels are not shown.")


def _describe_calls(calls: CallCounts) -> str:
    """Attempts by gRPC status, and the counts of errors (Table 4 of the paper)."""
    attempts = ", ".join(f"{count:,} {status}" for status, count in by_frequency(calls.attempts)) or "none"
    if not calls.errors and not calls.retried:
        return attempts
    failed = sum(calls.failed_paragraphs.values())
    return (
        f"{attempts}\nerrors: {calls.recovered:,} recovered, {calls.retried:,} retried, {calls.hedged:,} hedged, "
        f"{calls.shed:,} shed; {failed:,} paragraphs failed"
    )
