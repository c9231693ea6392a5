"""`undertone-model train`."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from undertone_model import adapters as adapter_files
from undertone_model.cli import options
from undertone_model.cli.evaluate import print_table
from undertone_model.cli.startup import quiet_tensorflow

if TYPE_CHECKING:
    from undertone_model.training import Progress as TrainingProgress


@click.command()
@click.option(
    "--goemotions", required=True, type=options.CORPUS, help="Folder with train.tsv, dev.tsv, test.tsv and labels.txt."
)
@options.stories
@click.option("--without-stories", is_flag=True, help="Learn from GoEmotions alone, to see what the stories are worth.")
@click.option("--out", type=options.FOLDER, default=Path("build/adapters"), show_default=True, help="Where to write adapters.")
@click.option("--seed", type=int, help="Default: that of the committed adapters.")
@click.option("--epochs", type=click.IntRange(1), help="Default: as for the committed adapters.")
@options.base
def train(
    *, goemotions: Path, stories: Path, without_stories: bool, out: Path, seed: int | None, epochs: int | None, base: str | None
) -> None:
    """Fine-tune low-rank adapters to --out.

    They are calibrated on the dev splits and scored on the test splits, and the record of both is written with them.
    """
    with quiet_tensorflow():
        from undertone_model import pipeline
        from undertone_model.training import Recipe

    chosen = {name: value for name, value in (("seed", seed), ("epochs", epochs)) if value is not None}
    corpora = pipeline.Corpora(goemotions, stories)
    with _Watch() as watch:
        trained = pipeline.train(base, corpora, replace(Recipe(), **chosen), watch, stories=not without_stories)
    adapter_files.save(out, trained.adapters)
    size = (out / adapter_files.TENSORS).stat().st_size
    click.echo(f"{out}: {size / 1e6:.2f} MB")
    print_table(trained.evaluations)


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
