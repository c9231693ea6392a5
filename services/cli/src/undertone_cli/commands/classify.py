"""`undertone classify`."""

import asyncio
import io
import sys
from collections.abc import Callable, Iterator
from contextlib import aclosing, closing
from itertools import chain, islice
from typing import Any

import click
from undertone_client.client import Client
from undertone_client.jobs import (
    EXIT_CODES,
    CommandError,
    ConnectionOptions,
    ExitCode,
    InputError,
    connection_options,
    explain_errors,
    policy_option,
)
from undertone_client.telemetry import client_hooks
from undertone_client.values import Outcome, Paragraph, Policy, Score
from undertone_telemetry import Telemetry, TelemetrySettings
from undertone_telemetry.options import TRACE_FIELDS, telemetry_options

from undertone_cli.commands.outcome_view import outcome_json, show_outcome, show_score
from undertone_cli.console import output_console
from undertone_cli.readers import piped_paragraphs, read_ahead


@click.command(
    epilog=f"""\b
Examples:
  undertone classify "The letter came too late."
  undertone classify --json "The letter came too late." | jq .label
  undertone classify < chapter.txt
  tail -f posts.txt | undertone classify --lines | jq -r .label

{EXIT_CODES}"""
)
@click.argument("text", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON. This is the default if the output is not a terminal.")
@click.option("--lines", is_flag=True, help="Each line of standard input is a paragraph.")
@policy_option
@connection_options
@telemetry_options(*TRACE_FIELDS)
@explain_errors
def classify(
    text: str | None,
    *,
    as_json: bool,
    lines: bool,
    policy: Policy,
    connection: ConnectionOptions,
    telemetry: TelemetrySettings,
) -> None:
    """Score the paragraph TEXT and show its labels.

    If TEXT is - or missing, score the paragraphs of standard input, which are separated by blank
    lines, and print the result of each as soon as it is known, in their order. JSON has a line for
    each paragraph, with its id (stdin/0000, stdin/0001, ...) and its score or its error.

    A single-label model assigns the most probable label. A multi-label model assigns each label
    whose probability reaches the threshold of the label: several, one, or none.
    """
    console = output_console()
    as_json = as_json or not console.is_terminal
    if text not in (None, "-"):
        if lines:
            raise click.UsageError("--lines is for standard input: pass - instead of a text")
        if not str(text).strip():
            raise InputError("the text is empty; pass it as a quoted argument, or pass - to read standard input")
        paragraphs, is_single = iter([Paragraph(str(text))]), True
    else:
        paragraphs = piped_paragraphs(_standard_input(wait=text == "-"), lines=lines)
        # With --lines, the first line may be long before the second one.
        first = list(islice(paragraphs, 1 if lines else 2))
        if not first:
            raise InputError("standard input has no paragraph; pass a text as a quoted argument, or pipe one into the command")
        paragraphs, is_single = chain(first, paragraphs), len(first) == 1 and not lines

    def show(outcome: Outcome) -> None:
        if as_json:
            click.echo(outcome_json(outcome))
        elif is_single and isinstance(outcome, Score):
            show_score(outcome, console)
        else:
            show_outcome(outcome, console)

    with closing(Telemetry(telemetry, ())) as active_telemetry:
        failed = asyncio.run(_classify(connection, paragraphs, policy, active_telemetry, show, is_single=is_single))
    if failed:
        raise CommandError(f"{failed:,} paragraph{'s have' if failed > 1 else ' has'} no score", ExitCode.FAILED)


async def _classify(
    connection: ConnectionOptions,
    paragraphs: Iterator[Paragraph],
    policy: Policy,
    telemetry: Telemetry,
    show: Callable[[Outcome], None],
    *,
    is_single: bool,
) -> int:
    """Show the outcomes. Returns the number of failures; a single paragraph raises its own."""
    failed = 0
    async with Client(
        connection.target, settings=connection.settings(), **client_hooks(telemetry, connection.target)
    ) as client:
        if is_single:
            show(await client.classify(next(paragraphs), policy=policy))
            return 0
        async with read_ahead(paragraphs) as source, aclosing(client.score(source, policy=policy)) as outcomes:
            async for outcome in outcomes:
                show(outcome)
                failed += not isinstance(outcome, Score)
    return failed


def _standard_input(*, wait: bool) -> Any:
    """Standard input. On a terminal, only if the user asked for it (`wait`)."""
    if sys.stdin is None:
        raise InputError("standard input is closed; pass a text as a quoted argument")
    if sys.stdin.isatty() and not wait:
        raise click.UsageError("Missing argument 'TEXT': pass a quoted text, or pipe paragraphs into the command")
    try:
        # Python cannot close sys.stdin at exit while the reader thread waits for input.
        return io.FileIO(sys.stdin.fileno(), closefd=False)
    except (OSError, ValueError):  # not a file
        return sys.stdin.buffer
