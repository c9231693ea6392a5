"""Scores and failures of `undertone classify`: JSON for programs, bars for people."""

import json
from dataclasses import asdict

from rich.console import Console
from rich.table import Table
from rich.text import Text
from undertone_client.values import Failure, Outcome, ProblemType, Score

from undertone_cli.flag_reasons import describe_flags
from undertone_cli.formatting import bar
from undertone_cli.readers import printable

MAX_BARS = 20
"""Labels with a bar on a terminal. Labels above their threshold always have one."""


def outcome_json(outcome: Outcome) -> str:
    """One line of JSON, without the text."""
    if isinstance(outcome, Failure):
        error = {"status": outcome.status.name, "reason": outcome.reason}
        return json.dumps({"id": outcome.paragraph.id, "error": error}, ensure_ascii=False)
    return _score_json(outcome)


def show_outcome(outcome: Outcome, console: Console) -> None:
    """Print the id, and a bar for each label or the reason of the failure."""
    console.print(Text(outcome.paragraph.id, "bold"))
    if isinstance(outcome, Score):
        show_score(outcome, console)
    else:
        console.print(Text(f"no score: {outcome.reason} ({outcome.status.name})", "red"))
    console.print()


def _score_json(score: Score) -> str:
    """One line of JSON, without the text."""
    document = {
        "id": score.paragraph.id,
        "problem_type": score.problem_type,
        "label": score.label,
        "labels_above_threshold": score.labels_above_threshold,
        "probabilities": {label: round(value, 6) for label, value in score.distribution.items()},
        "tokens": score.tokens,
        "truncated": score.truncated,
        "chunks": score.chunks,
        "flags": score.flags,
        "timings": {name: round(value, 6) for name, value in asdict(score.timings).items()},
        "model": asdict(score.model),
    }
    return json.dumps(document, ensure_ascii=False)


def show_score(score: Score, console: Console) -> None:
    """Print a bar for each label, by descending probability, and lines about labels and model."""
    multi_label = score.problem_type is ProblemType.MULTI_LABEL
    assigned = score.labels_above_threshold if multi_label else (score.label,)
    ranked = sorted(score.distribution.items(), key=lambda pair: -pair[1])
    shown = [(label, value) for rank, (label, value) in enumerate(ranked) if rank < MAX_BARS or label in assigned]
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right")
    table.add_column(justify="right")
    table.add_column()
    for label, value in shown:
        style = "bold cyan" if label in assigned else "default" if value >= 0.05 else "dim"
        table.add_row(Text(printable(label), style), Text(f"{value:.1%}", style), Text(bar(value), style))
    console.print(table)
    if len(shown) < len(ranked):
        console.print(Text(f"{len(ranked) - len(shown)} less probable labels are not shown; --json has all", "dim"))
    if multi_label:
        names = ", ".join(map(printable, assigned)) or "none: no probability reaches the threshold of its label"
        console.print(Text(f"labels: {names}"))
    if score.flags:
        console.print(Text(f"not reliable: the text is {describe_flags(score.flags_text)}", "yellow"))
    chunks = ", truncated" if score.truncated else f", in {score.chunks} chunks" if score.chunks > 1 else ""
    milliseconds = score.timings.total_seconds * 1000
    console.print(Text(f"{score.tokens} tokens{chunks} · {score.model} · {milliseconds:.0f} ms", "dim"))
