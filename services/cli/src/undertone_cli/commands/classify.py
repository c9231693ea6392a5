"""`undertone classify`."""

import asyncio
import json
import sys
from contextlib import closing
from dataclasses import asdict

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text
from undertone_client.client import Client
from undertone_client.jobs import (
    EXIT_CODES,
    ConnectionOptions,
    InputError,
    connection_options,
    explain_errors,
    policy_option,
)
from undertone_client.telemetry import client_hooks
from undertone_client.values import Policy, ProblemType, Score
from undertone_telemetry import Telemetry, TelemetrySettings
from undertone_telemetry.options import TRACE_FIELDS, telemetry_options

from undertone_cli.formatting import bar
from undertone_cli.readers import printable
from undertone_cli.standard_output import output_console

MAX_BARS = 20
"""Labels with a bar on a terminal. Labels above their threshold always have one."""


@click.command(
    epilog=f"""\b
Examples:
  undertone classify "The letter came too late."
  undertone classify --json "The letter came too late." | jq .label
  undertone classify --policy truncate - < chapter.txt

{EXIT_CODES}"""
)
@click.argument("text")
@click.option("--json", "as_json", is_flag=True, help="Print JSON. This is the default if the output is not a terminal.")
@policy_option
@connection_options
@telemetry_options(*TRACE_FIELDS)
@explain_errors
def classify(text: str, *, as_json: bool, policy: Policy, connection: ConnectionOptions, telemetry: TelemetrySettings) -> None:
    """Score the paragraph TEXT and show its labels. If TEXT is -, read it from standard input.

    A single-label model assigns the most probable label. A multi-label model assigns each label
    whose probability reaches the threshold of the label: several, one, or none.
    """
    if text == "-":
        try:
            text = sys.stdin.buffer.read().decode()
        except UnicodeDecodeError as error:
            raise InputError(f"standard input: byte {error.start} is not UTF-8") from None
    if not text.strip():
        raise InputError("the text is empty; pass it as a quoted argument, or pass - to read it from standard input")
    with closing(Telemetry(telemetry, ())) as active_telemetry:
        score = asyncio.run(_classify(connection, text, policy, active_telemetry))
    console = output_console()
    if as_json or not console.is_terminal:
        click.echo(_score_json(score))
    else:
        show_score(score, console)


async def _classify(connection: ConnectionOptions, text: str, policy: Policy, telemetry: Telemetry) -> Score:
    hooks = client_hooks(telemetry, connection.target)
    async with Client(connection.target, settings=connection.settings(), **hooks) as client:
        return await client.classify(text, policy=policy)


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
    chunks = ", truncated" if score.truncated else f", in {score.chunks} chunks" if score.chunks > 1 else ""
    milliseconds = score.timings.total_seconds * 1000
    console.print(Text(f"{score.tokens} tokens{chunks} · {score.model} · {milliseconds:.0f} ms", "dim"))
