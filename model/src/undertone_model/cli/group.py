"""The command's root.

TensorFlow takes ten seconds to import. So modules that need it are imported inside the commands, when they run: help and a
typing error are answered at once.
"""

from typing import Any

import click

from undertone_model.cli.evaluate import evaluate
from undertone_model.cli.export import export
from undertone_model.cli.merge import merge
from undertone_model.cli.train import train
from undertone_model.cli.verify import verify
from undertone_model.errors import ModelError


class Commands(click.Group):
    """Ends a user's mistake in one line and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ModelError as error:
            raise click.ClickException(str(error)) from None


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  undertone-model export build/models                    our emotion model, ready for TF Serving
  undertone-model export build/models --checkpoint DIR   your own fine-tuned BERT, from a Hugging Face folder
  undertone-model verify build/models                    check what was exported
  undertone-model train --goemotions DIR                 reproduce the committed adapters""",
)
@click.version_option(package_name="undertone-model", prog_name="undertone-model")
def undertone_model() -> None:
    """Train, export and verify the emotion model."""


for command in (export, verify, train, evaluate, merge):
    undertone_model.add_command(command)
