"""`undertone classify`."""

import asyncio
import sys
from typing import Any

import click
from rich.console import Console

from undertone_client.cli.connection import Connection, connection_options
from undertone_client.cli.exits import EXIT_CODES, explained
from undertone_client.cli.shapes import score_json, show_score
from undertone_client.client import Client
from undertone_client.errors import InputError
from undertone_client.settings import Settings
from undertone_client.values import Policy, Score


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
@click.option(
    "--policy",
    type=click.Choice([policy.value for policy in Policy]),
    default=Policy.CHUNK_MEAN.value,
    show_default=True,
    help="What to do with a text that is longer than the model can read at once.",
)
@connection_options
@explained
def classify(text: str, *, as_json: bool, policy: str, target: str, **connection: Any) -> None:
    """Score the paragraph TEXT and show its emotions. Give - to read it from standard input."""
    settings = Connection(**connection).settings()
    if text == "-":
        try:
            text = sys.stdin.buffer.read().decode()
        except UnicodeDecodeError as error:
            raise InputError(f"standard input: byte {error.start} is not UTF-8") from None
    if not text.strip():
        raise InputError("the text is empty; give one in quotes, or - to read it from standard input")
    score = asyncio.run(_classify(target, settings, text, Policy(policy)))
    console = Console()
    if as_json or not console.is_terminal:
        click.echo(score_json(score))
    else:
        show_score(score, console)


async def _classify(target: str, settings: Settings, text: str, policy: Policy) -> Score:
    async with Client(target, settings=settings) as client:
        return await client.classify(text, policy=policy)
