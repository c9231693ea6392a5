"""`undertone-model train`."""

import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from undertone_model.adapters import TENSORS_FILE, save_adapters
from undertone_model.cli import options
from undertone_model.emotions import EMOTIONS
from undertone_model.startup import quiet_tensorflow

if TYPE_CHECKING:
    from undertone_model.metrics import Evaluation
    from undertone_model.training import Progress as TrainingProgress


@click.command()
@click.option(
    "--goemotions",
    required=True,
    type=options.EXISTING_FOLDER,
    help="Folder with train.tsv, dev.tsv, test.tsv and labels.txt.",
)
@options.stories
@click.option("--without-stories", is_flag=True, help="Train on GoEmotions only, to measure the effect of the stories.")
@click.option(
    "--out", type=options.FOLDER, default=Path("build/adapters"), show_default=True, help="Output folder of the adapters."
)
@click.option("--seed", type=int, help="Random seed. Default: the seed of the packaged adapters.")
@click.option("--epochs", type=click.IntRange(1), help="Number of epochs. Default: as for the packaged adapters.")
@options.base
def train(
    *, goemotions: Path, stories: Path, without_stories: bool, out: Path, seed: int | None, epochs: int | None, base: str | None
) -> None:
    """Train low-rank adapters.

    The command calibrates the adapters on the dev splits and evaluates them on the test splits. The
    results are written to the folder of the adapters.
    """
    with quiet_tensorflow():
        from undertone_model import pipeline
        from undertone_model.training import Recipe

    changes = {name: value for name, value in (("seed", seed), ("epochs", epochs)) if value is not None}
    corpora = pipeline.Corpora(goemotions, stories)
    with _ProgressReport() as report:
        result = pipeline.train(base, corpora, replace(Recipe(), **changes), report, stories=not without_stories)
    save_adapters(out, result.adapters)
    click.echo(f"{out}: {(out / TENSORS_FILE).stat().st_size / 1e6:.2f} MB")
    _print_table(result.evaluations)


def _print_table(evaluations: "Iterable[Evaluation]") -> None:
    table = Table("data @ prior", "rows", "accuracy", "macro-F1", "ECE", *EMOTIONS, title="Quality, with F1 of each emotion")
    for row in evaluations:
        values = (row.accuracy, row.macro_f1, row.expected_calibration_error, *row.f1)
        table.add_row(row.data, str(row.rows), *(f"{value:.3f}" for value in values))
    Console(width=None if sys.stdout.isatty() else 200).print(table)


class _ProgressReport:
    """Shows a progress bar on a terminal, else one line for every hundred steps."""

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
