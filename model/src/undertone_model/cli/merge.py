"""`undertone-model merge`."""

from pathlib import Path

import click

from undertone_model import adapters as adapter_files
from undertone_model import checkpoint as checkpoints
from undertone_model import sources
from undertone_model.cli import options


@click.command()
@click.argument("folder", metavar="DIR", type=options.FOLDER)
@options.adapters
@options.base
def merge(folder: Path, adapters: Path | None, base: str | None) -> None:
    """Write our model to DIR for PyTorch.

    It becomes a Hugging Face checkpoint, with the adapters merged in, for every tool that reads those.
    The calibration is not part of it: a checkpoint holds logits' weights, an export probabilities'.
    """
    checkpoints.save(folder, sources.merged(base, adapter_files.load(adapters or adapter_files.COMMITTED)))
    click.echo(folder)
