"""The option --job."""

from typing import Any

import click
from undertone_telemetry.options import Decorator


def job_option(default: str | None) -> Decorator[Any]:
    """Adds `job` to a command's arguments. Without a default, the command names the job after its mode."""
    return click.option(
        "--job",
        envvar="UNDERTONE_JOB",
        metavar="NAME",
        default=default,
        show_default=bool(default) or "the mode",
        show_envvar=True,
        help="Name of the job: the label of its metrics, and their group in the Pushgateway.",
    )
