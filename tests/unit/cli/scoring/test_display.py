"""Progress on the terminal."""

import gzip
import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from undertone_cli.readers import ReadOptions, find_inputs, inspect_inputs
from undertone_cli.run_folder import Manifest, RunIdentity
from undertone_cli.scoring.display import (
    MAX_LABELS,
    RateEstimate,
    ThrottledCallback,
    describe_state,
    progress_display,
    reading_display,
    show_summary,
)
from undertone_cli.scoring.monitor import RunCounts
from undertone_client import BreakerState, CallCounts, ClientState, Model, Policy

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
IDLE = ClientState(in_flight=0, waiting=0, backing_off=0, limit=1, breaker=BreakerState.CLOSED, counts=CallCounts())


def test_rate_and_time_left() -> None:
    now = [0.0]
    estimate = RateEstimate(lambda: now[0])
    counts = RunCounts(total=1000, kept=500)
    assert estimate.describe(counts) == "0.0/s"
    now[0], counts.scored, counts.failed = 10.0, 90, 10
    assert estimate.describe(counts) == "10/s, 40 s left"
    now[0], counts.scored = 40.0, 390  # 10/s in the last 30 seconds; earlier paragraphs do not count
    assert estimate.describe(counts) == "10/s, 10 s left"
    now[0] = 80.0
    estimate.rate(counts)
    counts.total = None
    assert estimate.describe(counts) == "0.0/s"


def test_throttled_callback_is_called_at_the_interval() -> None:
    now, shown = [0.0], []
    throttled = ThrottledCallback(lambda counts, state: shown.append(now[0]), 5.0, lambda: now[0])
    for second in range(12):
        now[0] = float(second)
        throttled(RunCounts(), lambda: IDLE)
    assert shown == [5.0, 10.0]


def test_description_of_the_client_state() -> None:
    counts = CallCounts(attempts={"UNAVAILABLE": 3, "OK": 2, "INTERNAL": 1200})
    state = ClientState(in_flight=3, waiting=0, backing_off=0, limit=16, breaker=BreakerState.OPEN, counts=counts)
    assert describe_state(state) == "3 of 16 calls in flight, breaker open, 2 OK, 1,200 INTERNAL, 3 UNAVAILABLE"


@pytest.mark.parametrize(
    ("terminal", "words"), [(True, "30 of 90 paragraphs"), (False, "30 of 90 paragraphs, 2 failed, 3.0/s, 20 s left;")]
)
def test_progress_on_a_terminal_and_elsewhere(terminal: bool, words: str) -> None:
    now, screen = [0.0], StringIO()
    console = Console(file=screen, force_terminal=terminal, width=160)
    counts = RunCounts(total=90)
    with progress_display(console, counts, lambda: now[0], print_line=console.print) as display:
        now[0], counts.scored, counts.failed = 10.0, 28, 2
        display(counts, lambda: replace(IDLE, in_flight=3, limit=7, breaker=BreakerState.HALF_OPEN))
    shown = " ".join(screen.getvalue().split())
    assert words in shown
    assert "20 s left" in shown
    assert "3 of 7 calls in flight, breaker half-open" in shown


def test_the_summary_has_the_most_frequent_labels_as_they_are_named() -> None:
    names = ["[bold]joy[/bold]", "tab\there", *(f"LABEL_{number}" for number in range(98))]
    labels = Counter({name: 100 - number for number, name in enumerate(names)})
    counts = RunCounts(scored=labels.total(), labels=labels, flags=Counter(language=1200, unreadable=3))
    identity = RunIdentity((), ReadOptions(), 10, Model("any", 1, "fp32"), tuple(names), Policy.CHUNK_MEAN)
    screen = StringIO()
    show_summary(Console(file=screen, width=120), Path("out"), Manifest(identity, NOON), counts, CallCounts(), 1.0)
    lines = [line.strip() for line in screen.getvalue().splitlines()]
    assert any(line.startswith("[bold]joy[/bold] 2.0%") for line in lines)
    assert any(line.startswith("tab\\there 2.0%") for line in lines)
    assert sum("% " in line for line in lines) == MAX_LABELS
    reasons = "1,200 in a language that the model was not made for; 3 not readable for the model"
    assert f"not reliable  {reasons}" in lines
    assert lines[-1] == f"{100 - MAX_LABELS} less frequent labels are not shown."
    assert "(no label)" not in screen.getvalue()


def test_the_view_ends_with_an_empty_line_for_the_echo_of_ctrl_c() -> None:
    now, screen = [0.0], StringIO()
    console = Console(file=screen, force_terminal=True, width=50)
    counts = RunCounts(total=90)
    with progress_display(console, counts, lambda: now[0], print_line=console.print) as display:
        now[0] = 10.0
        display(counts, lambda: replace(IDLE, in_flight=31, limit=32))
    assert re.search("31 of 32 calls in flight, breaker closed[^\n]*\n\n", screen.getvalue())


def test_reading_counts_the_bytes_of_the_files_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b"A paragraph.\n\n" * 1000))
    inputs = find_inputs([str(path)], ReadOptions())
    counts: list[int] = []
    inspect_inputs(inputs, counts.append)
    assert sum(counts) == inputs.size == path.stat().st_size
    output = StringIO()
    with reading_display(Console(file=output, force_terminal=True, width=80), inputs) as on_bytes:
        on_bytes(inputs.size or 0)
    assert "Reading the inputs" in output.getvalue()
