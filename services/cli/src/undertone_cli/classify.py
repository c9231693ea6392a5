"""`undertone classify`."""

import asyncio
import sys
from contextlib import closing

import click
from rich.console import Console
from undertone_client.client import Client
from undertone_client.jobs import (
    EXIT_CODES,
    ConnectionOptions,
    InputError,
    connection_options,
    explain_errors,
    policy_option,
)
from undertone_client.telemetry import ClientHooks, client_hooks
from undertone_client.values import Policy, Score
from undertone_telemetry.options import TRACE_FIELDS, telemetry_options
from undertone_telemetry.settings import TelemetrySettings
from undertone_telemetry.telemetry import Telemetry

from undertone_cli.shapes import score_json, show_score


@click.command(
    epilog=f"""\b
Examples:
  undertone classify "The letter came too late."
  undertone classify --json "The letter came too late." | jq .label
  undertone classify --policy truncate - < chapter.txt

{EXIT_CODES}"""
)
@click.argument("text")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; the default where the output is no terminal.")
@policy_option
@connection_options
@telemetry_options(*TRACE_FIELDS)
@explain_errors
def classify(text: str, *, as_json: bool, policy: Policy, connection: ConnectionOptions, telemetry: TelemetrySettings) -> None:
    """Score the paragraph TEXT and show its emotions. Give - to read it from standard input."""
    if text == "-":
        try:
            text = sys.stdin.buffer.read().decode()
        except UnicodeDecodeError as error:
            raise InputError(f"standard input: byte {error.start} is not UTF-8") from None
    if not text.strip():
        raise InputError("the text is empty; give one in quotes, or - to read it from standard input")
    with closing(Telemetry(telemetry, ())) as seen:
        score = asyncio.run(_classify(connection, text, policy, client_hooks(seen, connection.target)))
    console = Console()
    if as_json or not console.is_terminal:
        click.echo(score_json(score))
    else:
        show_score(score, console)


async def _classify(connection: ConnectionOptions, text: str, policy: Policy, seen: ClientHooks) -> Score:
    async with Client(connection.target, settings=connection.settings(), **seen) as client:
        return await client.classify(text, policy=policy)
