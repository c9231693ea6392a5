"""`undertone-model export`."""

from pathlib import Path
from typing import Literal

import click

from undertone_model import adapters as adapter_files
from undertone_model import precision as precisions
from undertone_model import sample as samples
from undertone_model import sources
from undertone_model.cli import options
from undertone_model.cli.startup import quiet_tensorflow
from undertone_model.errors import VerificationError


@click.command()
@click.argument("folder", metavar="DIR", type=options.FOLDER)
@click.option(
    "--checkpoint", type=options.FOLDER, help="Export this BertForSequenceClassification folder instead of our own model."
)
@click.option("--random", "size", type=click.Choice(list(sources.ARCHITECTURES)), help="Export random weights, for benchmarks.")
@options.adapters
@click.option(
    "--prior",
    default="stories",
    show_default=True,
    metavar="stories|comments",
    help="Kind of text that our model is calibrated for: how often neutral is expected, and how sure to be.",
)
@click.option("--name", metavar="NAME", help="Model name. Default: emotions, or the checkpoint folder's name.")
@click.option("--version", "number", type=click.IntRange(1), help="Default: one more than the largest version in DIR.")
@click.option("--max-tokens", type=int, help="Longest sequence to allow. Default: all positions that the model has.")
@click.option(
    "--precision",
    type=click.Choice(["auto", "fp32", "bf16"]),
    default="auto",
    show_default=True,
    help="Arithmetic of the graph. auto: bf16 if this machine's CPU has AMX or AVX512-BF16 and the answers agree, else fp32.",
)
@options.sample
@options.base
def export(
    folder: Path,
    checkpoint: Path | None,
    size: str | None,
    adapters: Path | None,
    prior: str,
    name: str | None,
    number: int | None,
    max_tokens: int | None,
    precision: Literal["auto", "fp32", "bf16"],
    sample: Path,
    base: str | None,
) -> None:
    """Write a model for TF Serving to DIR/NAME/VERSION/.

    The folder has the SavedModel, tokenizer.json and contract.json.
    In bf16 it is only written if its answers to the sample agree with those in fp32.
    """
    if sum(chosen is not None for chosen in (checkpoint, size, adapters)) > 1:
        raise click.UsageError("--checkpoint, --random and --adapters exclude each other")
    if checkpoint:
        source, default_name = sources.from_folder(checkpoint), checkpoint.resolve().name
    elif size:
        source, default_name = sources.random(size), size
    else:
        source, default_name = sources.from_adapters(base, prior, adapters or adapter_files.COMMITTED), "emotions"
    chosen = precisions.of_machine() if precision == "auto" else precision
    texts = samples.read(sample) if chosen != "fp32" and not size else None
    with quiet_tensorflow():
        from undertone_model import export as exports
    name = default_name if name is None else name
    try:
        exported = exports.export(source, folder, name, number, max_tokens, chosen, texts)
    except VerificationError as error:
        if precision != "auto":
            raise
        click.echo(f"Warning: {error}, as it is now", err=True)
        exported = exports.export(source, folder, name, number, max_tokens)
    click.echo(exported)
