"""The command `undertone-model`.

Importing TensorFlow takes seconds. Modules that need it are imported inside the commands, so that
help and usage errors are immediate.
"""

from typing import Any

import click
from undertone_telemetry.options import name_variables
from undertone_telemetry.standard_output import checked_standard_output

from undertone_model.cli.evaluate import evaluate
from undertone_model.cli.export import export, merge
from undertone_model.cli.soft_labels import soft_labels
from undertone_model.cli.thresholds import thresholds
from undertone_model.cli.train import train
from undertone_model.cli.verify import verify
from undertone_model.errors import ModelError


class _Group(click.Group):
    """Reports a ModelError in one line and exits with code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ModelError as error:
            raise click.ClickException(str(error)) from None


@click.group(
    cls=_Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  undertone-model export build/models                    export the packaged emotion model
  undertone-model export build/models --checkpoint DIR   export your own fine-tuned classifier
  undertone-model verify build/models                    verify the newest export
  undertone-model thresholds models/mine dev.jsonl       fit the thresholds of a multi-label model
  undertone-model train --goemotions DIR                 reproduce the packaged adapters""",
)
@click.version_option(package_name="undertone-model", prog_name="undertone-model")
def undertone_model() -> None:
    """Train, evaluate, export and verify classifiers."""


for command in (export, verify, thresholds, train, soft_labels, evaluate, merge):
    undertone_model.add_command(command)
name_variables(undertone_model, "UNDERTONE_MODEL_")


def main() -> None:
    """Runs the command and exits with its code."""
    with checked_standard_output():
        undertone_model(prog_name="undertone-model")


if __name__ == "__main__":
    main()
