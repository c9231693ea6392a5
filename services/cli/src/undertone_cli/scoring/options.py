"""Options of a run."""

from dataclasses import dataclass

import click
from undertone_client import Settings
from undertone_telemetry.options import IntegerRange, NumberRange, option_group

DEFAULTS = Settings()


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Values of the options of a run: batch size, checkpoints and output.

    Raises:
        ValueError: --quiet and --json are both given.
    """

    batch_items: int
    checkpoint: float
    quiet: bool
    as_json: bool

    def __post_init__(self) -> None:
        if self.quiet and self.as_json:
            raise ValueError("--quiet and --json exclude each other: give one of them")


run_options = option_group(
    "options",
    RunOptions,
    click.option(
        "--batch-items",
        envvar="UNDERTONE_BATCH_ITEMS",
        show_envvar=True,
        type=IntegerRange(min=1),
        default=DEFAULTS.batch_items,
        show_default=True,
        help="Maximum number of paragraphs in a call.",
    ),
    click.option(
        "--checkpoint",
        type=NumberRange(min=0),
        default=10.0,
        show_default=True,
        metavar="SECONDS",
        help="Interval at which unfinished files are saved: the most work that a killed run loses.",
    ),
    click.option("--quiet", is_flag=True, help="Print errors only."),
    click.option(
        "--json",
        "as_json",
        is_flag=True,
        help="Print progress every 5 seconds and the summary as lines of JSON to standard output, and no progress bar.",
    ),
)
"""Adds the argument `options` to a command."""
