"""Scores as JSON and as bars."""

import json
from dataclasses import asdict

from rich.console import Console
from rich.table import Table
from rich.text import Text
from undertone_client.values import Score

BAR_CELLS = 40
EIGHTHS = " ▏▎▍▌▋▊▉"


def score_json(score: Score) -> str:
    """One line of JSON; the text is left out."""
    document = {
        "id": score.paragraph.id,
        "label": score.label,
        "probabilities": {label: round(value, 6) for label, value in score.distribution.items()},
        "tokens": score.tokens,
        "truncated": score.truncated,
        "chunks": score.chunks,
        "timings": {name: round(value, 6) for name, value in asdict(score.timings).items()},
        "model": asdict(score.model),
    }
    return json.dumps(document, ensure_ascii=False)


def show_score(score: Score, console: Console) -> None:
    """A bar for each emotion, the strongest first, and a line about the model."""
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right")
    table.add_column(justify="right")
    table.add_column()
    for label, value in sorted(score.distribution.items(), key=lambda pair: -pair[1]):
        style = "bold cyan" if label == score.label else "default" if value >= 0.05 else "dim"
        table.add_row(Text(label, style), Text(f"{value:.1%}", style), Text(bar(value), style))
    console.print(table)
    pieces = ", truncated" if score.truncated else f", in {score.chunks} chunks" if score.chunks > 1 else ""
    milliseconds = score.timings.total_seconds * 1000
    console.print(Text(f"{score.tokens} tokens{pieces} · {score.model} · {milliseconds:.0f} ms", "dim"))


def bar(fraction: float) -> str:
    """A bar of up to BAR_CELLS cells, to the eighth of a cell."""
    whole, rest = divmod(round(fraction * BAR_CELLS * 8), 8)
    return ("█" * whole + EIGHTHS[rest]).rstrip()
