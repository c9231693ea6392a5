"""The table at the end of a run."""

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text
from undertone_client import CallCounts

from undertone_cli.durations import duration
from undertone_cli.job import Manifest, Tally
from undertone_cli.progress import by_frequency
from undertone_cli.shapes import bar


def show_summary(console: Console, folder: Path, manifest: Manifest, tally: Tally, counts: CallCounts, seconds: float) -> None:
    """What was done, what became of the calls, and how often each emotion came first."""
    sent = tally.scored + tally.failed
    rows = [
        ("scored", f"{tally.scored:,}" + (f", and {tally.kept:,} kept from before" if tally.kept else "")),
        ("failed", f"{tally.failed:,}" + (f", see {folder / 'failures.jsonl'}" if tally.failed else "")),
        *([("repeated", f"{tally.repeated:,} of them, sent once for all that have the same text")] if tally.repeated else []),
        ("tokens", f"{tally.tokens:,}"),
        ("calls", _calls(counts)),
        ("time", f"{duration(seconds)}, {sent / seconds:,.1f} paragraphs/s" if seconds and sent else duration(seconds)),
        ("model", f"{manifest.identity.model}, {manifest.identity.policy}"),
        ("table", str(folder / "scores")),
    ]
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold")
    facts.add_column(overflow="fold")
    for name, value in rows:
        facts.add_row(name, Text(value))
    console.print(facts)
    if tally.labels:
        emotions = Table.grid(padding=(0, 1))
        emotions.add_column(justify="right")
        emotions.add_column(justify="right")
        emotions.add_column()
        for label, count in tally.labels.most_common():
            share = count / tally.labels.total()
            emotions.add_row(label, f"{share:.1%}", Text(bar(share), "cyan"))
        console.print()
        console.print(emotions)


def _calls(counts: CallCounts) -> str:
    """The paper's Table 4: attempts by gRPC status, and what became of the errors."""
    attempts = ", ".join(f"{count:,} {status}" for status, count in by_frequency(counts.attempts)) or "none"
    if not counts.errors and not counts.retried:
        return attempts
    became = (("handled", counts.recovered), ("retried", counts.retried), ("hedged", counts.hedged), ("shed", counts.shed))
    skipped = sum(counts.skipped.values())
    return (
        f"{attempts}\nerrors: " + ", ".join(f"{count:,} {what}" for what, count in became) + f"; {skipped:,} paragraphs skipped"
    )
