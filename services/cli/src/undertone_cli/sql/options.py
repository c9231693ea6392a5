"""Options and errors of the commands over scores."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click
from undertone_client.errors import UndertoneError
from undertone_client.jobs import command_error
from undertone_client.jobs.catalog import catalog_options
from undertone_telemetry.options import option_group

from undertone_cli.sql.output import OutputFormat, chosen_format
from undertone_cli.sql.session import DEFAULT_MEMORY

P = ParamSpec("P")
R = TypeVar("R")

SOURCE_HELP = """\b
SOURCE is one of
  a folder of `undertone score`         scores/stories
  a Parquet file, folder or pattern     'exports/*.parquet'
  an Iceberg table, NAMESPACE.NAME      emotions.stories, with --warehouse or --catalog-…"""

QUERY_EXIT_CODES = """\b
Exit codes:
  0    success
  1    standard output cannot be written
  2    the query, an option or the scores are invalid
  130  interrupted (SIGINT)
  143  terminated (SIGTERM)"""


@dataclass(frozen=True, slots=True)
class ResultOptions:
    """How a command writes its result."""

    format: OutputFormat
    output: Path | None


def _result_options(output_format: str | None, output: Path | None) -> ResultOptions:
    return ResultOptions(chosen_format(output_format, output), output)


result_options = option_group(
    "result",
    _result_options,
    click.option(
        "--format",
        "output_format",
        type=click.Choice([each.value for each in OutputFormat]),
        help="Format of the result; json is one object in each line, table is for people and ends after 100 rows."
        "  [default: from the suffix of --output, such as .csv; table on standard output]",
    ),
    click.option(
        "--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="File to write.  [default: standard output]"
    ),
)
"""Adds the argument `result` to a command: `ResultOptions`."""

memory_option = click.option(
    "--memory-limit",
    default=DEFAULT_MEMORY,
    show_default=True,
    help="Maximum memory of DuckDB. More data goes to a temporary folder.",
)


def explain_query_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Turns errors into messages and exit codes."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except (KeyboardInterrupt, UndertoneError) as error:
            raise command_error(error, "") from None

    return run


def query_command(command: Callable[P, R]) -> Callable[P, R]:
    """Adds the options of all commands over scores, and explains their errors."""
    decorated: Any = explain_query_errors(command)
    for option in (result_options, memory_option, catalog_options()):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]
