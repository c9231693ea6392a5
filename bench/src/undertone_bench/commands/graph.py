"""Measurements of the exported TensorFlow graph."""

from collections.abc import Mapping
from typing import Final

import click

from undertone_bench.cli import SETTINGS, LazyCommand, LazyGroup

_SECTION: Final = "Commands"

COMMANDS: Final[Mapping[str, LazyCommand]] = {
    name: LazyCommand(f"undertone_bench.commands.graph_{name}:{name}", _SECTION, summary)
    for name, summary in {
        "compare": "Compare the exported graph with other graphs and with OpenVINO.",
        "profile": "Show the time of TensorFlow's operations and oneDNN's kernels.",
        "precision": "Measure the effect of rounding on the model's answers.",
        "concurrency": "Compare one call on all cores with one call per core.",
    }.items()
}


@click.group(cls=LazyGroup, lazy=COMMANDS, context_settings=SETTINGS)
def graph() -> None:
    """Time, profile and check the exported TensorFlow graph."""
