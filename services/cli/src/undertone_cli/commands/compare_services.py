"""`undertone compare --baseline … --candidate …`."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from undertone_client.jobs import (
    CommandError,
    ConnectionOptions,
    ExitCode,
    OutputError,
    channel_options,
    explain_errors,
    patience_options,
    policy_option,
)
from undertone_client.values import Policy
from undertone_telemetry.options import IntegerRange, NumberRange, option_group

from undertone_cli.commands.input_options import read_options
from undertone_cli.configuration import configured_flags
from undertone_cli.console import output_console
from undertone_cli.readers import ReadOptions, find_inputs, inspect_inputs
from undertone_cli.service_comparison import ComparedServices, Comparison, compare_services, markdown, show

DEFAULT_CONCURRENCY = 8


def _services(
    baseline: str, candidate: str, concurrency: int, attempts: int, patience: float, **channel: Any
) -> ComparedServices:
    connections = [ConnectionOptions(target, **channel) for target in (baseline, candidate)]
    return ComparedServices(connections[0], connections[1], concurrency, attempts, patience)


service_options = option_group(
    "services",
    _services,
    click.option("--baseline", required=True, metavar="HOST:PORT", help="Address of the service with the current model."),
    click.option(
        "--candidate",
        required=True,
        metavar="HOST:PORT",
        help="Address of the service with the new model. With the canary of the chart, it is the same address: Envoy sends the "
        "calls to the version that their metadata name.",
    ),
    click.option(
        "--concurrency",
        type=IntegerRange(min=1, max=1000),
        default=DEFAULT_CONCURRENCY,
        show_default=True,
        help="Paragraphs in flight, each at both services.",
    ),
    *patience_options,
    *channel_options,
)
"""Adds the argument `services` to a command."""


@click.command(
    epilog="""\b
Examples:
  undertone compare --baseline old:50051 --candidate new:50051 sample.jsonl
  undertone compare --baseline envoy:50051 --candidate envoy:50051 stories/ --max-flip-rate 0.01
  tail -n 1000 live.jsonl | undertone compare --baseline old:50051 --candidate new:50051 \\
      --format jsonl - --json | jq .flip_rate

\b
Exit codes:
  0    success
  1    paragraphs have no score at one of the services, or standard output cannot be written
  2    the options or the inputs are invalid
  3    a service cannot be reached
  4    the labels of more paragraphs changed than --max-flip-rate allows
  130  interrupted (SIGINT)
  143  terminated (SIGTERM)"""
)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@service_options
@click.option(
    "--max-flip-rate",
    type=NumberRange(min=0, max=1),
    metavar="SHARE",
    help="Largest share of the compared paragraphs whose labels may change, from 0 to 1. Beyond it, the exit code is 4.",
)
@read_options
@policy_option
@click.option("--with-text", is_flag=True, help="Show the beginning of the most changed paragraphs, not only their ids.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write a report to this file: Markdown, or JSON if its suffix is .json.",
)
@explain_errors
def compare(
    inputs: tuple[str, ...],
    *,
    services: ComparedServices,
    max_flip_rate: float | None,
    read: ReadOptions,
    policy: Policy,
    with_text: bool,
    as_json: bool,
    output: Path | None,
) -> None:
    """Send the paragraphs of the INPUTs to two services, and compare the answers.

    The INPUTs are those of undertone score. Each paragraph is sent to both services at the same
    time, in the batch lane. The result has the changed labels and probabilities, the failures,
    latency and cost. No text is stored.
    """
    if output is not None and not output.parent.is_dir():
        raise OutputError(f"--output {output}: there is no folder {output.parent}: create it, or name another")
    found = find_inputs(inputs, read, optional=configured_flags(click.get_current_context()))
    total = inspect_inputs(found).paragraphs
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as view:
        task = view.add_task("paragraphs", total=total)
        comparison = asyncio.run(
            compare_services(
                services,
                found,
                policy,
                report=lambda line: console.print(line, highlight=False, soft_wrap=True),
                on_pair=lambda count: view.update(task, completed=count),
                with_text=with_text,
            )
        )
    code, verdict = _verdict(comparison, max_flip_rate)
    document = json.dumps({**comparison.to_json(), "max_flip_rate": max_flip_rate, "verdict": verdict}, ensure_ascii=False)
    if output is not None:
        try:
            output.write_text(f"{document}\n" if output.suffix == ".json" else markdown(comparison, verdict), "utf-8")
        except OSError as error:
            raise OutputError(f"--output {output} cannot be written: {error.strerror or error}") from None
    if as_json:
        click.echo(document)
    else:
        show(comparison, output_console())
    if code is not ExitCode.OK:
        raise CommandError(verdict, code)
    if not as_json:
        click.echo(verdict)
    sys.exit(code)


def _verdict(comparison: Comparison, max_flip_rate: float | None) -> tuple[ExitCode, str]:
    """The exit code, and the result in a sentence."""
    changed = f"the labels of {comparison.flipped:,} of {comparison.compared:,} paragraphs changed"
    if max_flip_rate is not None and comparison.flip_rate > max_flip_rate:
        rate = f"{comparison.flip_rate:.4f}, more than --max-flip-rate {max_flip_rate:g}"
        return ExitCode.REFUSED, f"the candidate is refused: {changed}, a share of {rate}"
    if comparison.failed:
        return ExitCode.FAILED, (
            f"{comparison.failed:,} of {comparison.paragraphs:,} paragraphs have no score at one of the services; {changed}"
        )
    if not comparison.compared:
        return ExitCode.USAGE, "the inputs have no paragraph to compare: name other inputs, or lower --min-characters"
    return ExitCode.OK, changed
