"""The `undertone-model` command."""

import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from undertone_model.errors import ModelError

if TYPE_CHECKING:
    from undertone_model.evaluation import Evaluation
    from undertone_model.training import Progress as TrainingProgress

# TensorFlow prints what CPU it was built for, on every start; whoever wants that can set the variable.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

FOLDER = click.Path(path_type=Path, file_okay=False)
BASE = click.option(
    "--base",
    metavar="DIR|HUB_ID",
    help="The encoder to start from: a Hugging Face folder or hub id. Default: all-MiniLM-L6-v2 from its package.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="undertone-model")
def main() -> None:
    """Train, export and verify the emotion model.

    \b
    Examples:
      undertone-model export build/models                      our emotion model, ready for TF Serving
      undertone-model export build/models --checkpoint DIR     your own fine-tuned BERT, from a Hugging Face folder
      undertone-model verify build/models                      check what was exported
      undertone-model train --goemotions DIR                   reproduce the committed adapters
    """


def user_errors(command: Callable[..., None]) -> Callable[..., None]:
    """A user's mistake ends in one line and exit code 1."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except ModelError as error:
            raise click.ClickException(str(error)) from None

    return run


@main.command()
@click.argument("folder", metavar="DIR", type=FOLDER)
@click.option("--checkpoint", type=FOLDER, help="Export this BertForSequenceClassification folder instead of our own model.")
@click.option(
    "--random", "size", type=click.Choice(["minilm", "bert-base", "bert-large"]), help="Export random weights, for benchmarks."
)
@click.option("--adapters", type=FOLDER, help="Adapters that `train` wrote. Default: the committed ones.")
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
@BASE
@user_errors
def export(
    folder: Path,
    checkpoint: Path | None,
    size: str | None,
    adapters: Path | None,
    prior: str,
    name: str | None,
    number: int | None,
    max_tokens: int | None,
    base: str | None,
) -> None:
    """Write DIR/NAME/VERSION/: the SavedModel, tokenizer.json and contract.json."""
    from undertone_model import adapters as adapter_files
    from undertone_model import export as exports

    if sum(chosen is not None for chosen in (checkpoint, size, adapters)) > 1:
        raise click.UsageError("--checkpoint, --random and --adapters exclude each other")
    if checkpoint:
        source = exports.from_folder(checkpoint)
        name = name or checkpoint.resolve().name
    elif size:
        source = exports.random(size)
        name = name or size
    else:
        source = exports.from_adapters(base, prior, adapters or adapter_files.COMMITTED)
        name = name or "emotions"
    click.echo(exports.export(source, folder, name, number, max_tokens))


@main.command()
@click.argument("folder", metavar="DIR", type=FOLDER)
@click.option("--goldens", type=click.Path(path_type=Path, dir_okay=False), help="Reference outputs for your own weights.")
@user_errors
def verify(folder: Path, goldens: Path | None) -> None:
    """Check the newest export in DIR against its contract and the original implementation's outputs."""
    from undertone_model import verify as verification

    found = verification.verify(verification.newest(folder), verification.load_goldens(goldens) if goldens else None)
    contract = found.contract
    click.echo(
        f"{found.folder}: {contract.name} version {contract.version}, {contract.precision}, {len(contract.labels)} labels"
    )
    click.echo("contract, tokenizer and signature agree")
    if found.rows:
        click.echo(
            f"{found.rows} reference outputs agree; largest difference of a probability {found.largest_difference:.1e} "
            f"(allowed {verification.TOLERANCE:.0e})"
        )
    else:
        click.echo("no reference outputs are known for these weights, so only the form was checked; see --goldens")


@main.command()
@click.option("--goemotions", required=True, type=FOLDER, help="Folder with train.tsv, dev.tsv, test.tsv and labels.txt.")
@click.option(
    "--stories", type=FOLDER, default=Path("model/data/stories"), show_default=True, help="Folder of story paragraphs."
)
@click.option("--without-stories", is_flag=True, help="Train on GoEmotions alone, to see what the stories are worth.")
@click.option("--out", type=FOLDER, default=Path("build/adapters"), show_default=True)
@click.option("--seed", type=int, help="Default: that of the committed adapters.")
@click.option("--epochs", type=click.IntRange(1), help="Default: as for the committed adapters.")
@BASE
@user_errors
def train(
    *, goemotions: Path, stories: Path, without_stories: bool, out: Path, seed: int | None, epochs: int | None, base: str | None
) -> None:
    """Fine-tune low-rank adapters, calibrate and score them, and write them to --out."""
    from dataclasses import replace

    from undertone_model import adapters, pipeline
    from undertone_model.training import Recipe

    recipe = Recipe()
    recipe = replace(recipe, seed=recipe.seed if seed is None else seed, epochs=epochs or recipe.epochs)
    corpora = pipeline.Corpora(goemotions, None if without_stories else stories)
    with _Watch() as watch:
        trained = pipeline.train(base, corpora, recipe, watch)
    adapters.save(out, trained)
    size = (out / adapters.TENSORS).stat().st_size
    click.echo(f"{out}: {size / 1e6:.2f} MB")
    _print_evaluations(list(pipeline.evaluations(base, adapters.load(out), corpora)))


@main.command()
@click.argument("folder", metavar="DIR", type=FOLDER)
@click.option("--adapters", type=FOLDER, help="Adapters that `train` wrote. Default: the committed ones.")
@BASE
@user_errors
def merge(folder: Path, adapters: Path | None, base: str | None) -> None:
    """Write our model to DIR as a Hugging Face checkpoint, adapters merged in, for PyTorch and other tools.

    The calibration is not part of it: a checkpoint holds logits' weights, an export probabilities'.
    """
    from undertone_model import adapters as adapter_files
    from undertone_model import checkpoint as checkpoints
    from undertone_model import export as exports

    source = exports.from_adapters(base, "stories", adapters or adapter_files.COMMITTED)
    checkpoints.save(folder, source.checkpoint)
    click.echo(folder)


@main.command()
@click.option("--goemotions", required=True, type=FOLDER, help="Folder with test.tsv and labels.txt.")
@click.option(
    "--stories", type=FOLDER, default=Path("model/data/stories"), show_default=True, help="Folder of story paragraphs."
)
@click.option("--adapters", "folder", type=FOLDER, help="Adapters that `train` wrote. Default: the committed ones.")
@BASE
@user_errors
def evaluate(goemotions: Path, stories: Path, folder: Path | None, base: str | None) -> None:
    """Score adapters on both test sets, with and without each calibration."""
    from undertone_model import adapters, pipeline

    found = adapters.load(folder or adapters.COMMITTED)
    _print_evaluations(list(pipeline.evaluations(base, found, pipeline.Corpora(goemotions, stories))))


class _Watch:
    """Shows training: a bar on a terminal, a line every hundred steps elsewhere."""

    def __init__(self) -> None:
        columns = (TextColumn("epoch {task.fields[epoch]}  loss {task.fields[loss]:.3f}"), BarColumn(), MofNCompleteColumn())
        self._bar = Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))
        self._task = self._bar.add_task("train", epoch=1, loss=0.0)
        self._terminal = sys.stderr.isatty()

    def __enter__(self) -> Self:
        if self._terminal:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, progress: "TrainingProgress") -> None:
        if self._terminal:
            self._bar.update(
                self._task, completed=progress.step, total=progress.steps, epoch=progress.epoch, loss=progress.loss
            )
        elif progress.step % 100 == 0 or progress.step == progress.steps:
            click.echo(f"epoch {progress.epoch}  step {progress.step}/{progress.steps}  loss {progress.loss:.4f}", err=True)


def _print_evaluations(found: "list[Evaluation]") -> None:
    from undertone_model.emotions import EMOTIONS

    table = Table("data @ prior", "rows", "accuracy", "macro-F1", "ECE", *EMOTIONS, title="F1 by emotion on the right")
    for row in found:
        figures = (row.accuracy, row.macro_f1, row.expected_calibration_error, *row.f1)
        table.add_row(row.data, str(row.rows), *(f"{figure:.3f}" for figure in figures))
    Console(width=None if sys.stdout.isatty() else 200).print(table)


if __name__ == "__main__":
    main()
