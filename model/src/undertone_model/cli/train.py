"""`undertone-model train`."""

import shutil
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from undertone_telemetry.options import refuse_unused

from undertone_model.adapters import TENSORS_FILE, Adapters, save_adapters
from undertone_model.bases import LARGE_BASE
from undertone_model.cli import options
from undertone_model.emotions import EMOTIONS
from undertone_model.startup import quiet_tensorflow

if TYPE_CHECKING:
    from undertone_model.metrics import Evaluation
    from undertone_model.optimization import Progress as TrainingProgress


@click.command()
@click.option(
    "--goemotions",
    required=True,
    type=options.EXISTING_FOLDER,
    help="Folder with train.tsv, dev.tsv, test.tsv and labels.txt.",
)
@options.stories
@options.fiction_corpora(required=False)
@click.option(
    "--first-stage-only",
    is_flag=True,
    help="Train on GoEmotions and the stories only; --fiction, --reman and --xed are not needed.",
)
@click.option(
    "--novels",
    multiple=True,
    type=options.FILE,
    metavar="FILE",
    help="File of the paragraphs of novels: one paragraph per line, or .jsonl with `text`; repeatable. Adds a third stage, "
    "which trains on the passages that have readings in --fiction. With --large, the readings only fit the calibration.",
)
@click.option(
    "--soft-labels",
    type=options.FILE,
    metavar="FILE",
    help="In the third stage, also train on the answers that `undertone-model soft-labels` wrote. Needs --novels.",
)
@click.option(
    "--start-from",
    type=options.EXISTING_FOLDER,
    metavar="DIR",
    help="Train the later stages only, from adapters of the first stage in DIR. Default: train all stages.",
)
@click.option(
    "--large",
    is_flag=True,
    help="Train the large model, in one stage: the upper layers of all-mpnet-base-v2. Needs --fiction, --reman and --xed.",
)
@click.option("--without-stories", is_flag=True, help="Train on GoEmotions only, to measure the effect of all other texts.")
@click.option(
    "--out", type=options.FOLDER, default=Path("build/adapters"), show_default=True, help="Output folder of the adapters."
)
@click.option("--seed", type=int, help="Random seed. Default: the seed of the packaged adapters.")
@click.option("--epochs", type=click.IntRange(1), help="Number of epochs of each stage. Default: as for the packaged adapters.")
@options.base
def train(
    *,
    goemotions: Path,
    stories: Path,
    fiction: Path | None,
    reman: Path | None,
    xed: Path | None,
    novels: tuple[Path, ...],
    soft_labels: Path | None,
    first_stage_only: bool,
    start_from: Path | None,
    large: bool,
    without_stories: bool,
    out: Path,
    seed: int | None,
    epochs: int | None,
    base: str | None,
) -> None:
    """Train low-rank adapters in two or three stages.

    The first stage trains on GoEmotions and the stories, the second on all texts. With --novels,
    a third stage also trains on passages of novels. Texts of stories and novels are paired with a
    changed copy: other names, no punctuation, or typos. Pairs of an emotion and its negation are
    added. The command calibrates the adapters on the dev splits and
    evaluates them on the test splits. The results are written to the folder of the adapters. The
    later stages, and --large, save the adapters to its folder `checkpoint` every 500 steps. --large
    also prints the macro-F1 on the dev splits then.

    A command that was ended continues after its last complete stage, or the last step that was
    saved: both are in the folder `stages` of the output until the training has ended.

    REMAN, XED and the novels are not included: model/CARD.md says where to find them.
    """
    one_stage = first_stage_only or without_stories
    if one_stage and start_from:
        raise click.UsageError("--start-from omits the first stage: omit --first-stage-only and --without-stories")
    if large and (one_stage or start_from):
        raise click.UsageError("--large has one stage: omit --first-stage-only, --without-stories and --start-from")
    if large and soft_labels:
        raise click.UsageError("--soft-labels has no effect with --large: omit one of them")
    if soft_labels and not novels:
        raise click.UsageError("--soft-labels needs the third stage: add --novels")
    if one_stage:
        flag = "--first-stage-only" if first_stage_only else "--without-stories"
        refuse_unused(
            f"has no effect in the first stage: omit it, or {flag}", "fiction", "reman", "xed", "novels", "soft_labels"
        )
    else:
        _require_data_sets({"fiction": fiction, "reman": reman, "xed": xed}, large=large)
    with quiet_tensorflow():
        from undertone_model import pipeline
        from undertone_model.later_stages import THIRD_STAGE, LaterStage
        from undertone_model.training import Recipe
        from undertone_model.training_sets import TrainingSets
        from undertone_model.upper_layers import UpperLayers

    changes: dict[str, Any] = {name: value for name, value in (("seed", seed), ("epochs", epochs)) if value is not None}
    later = {} if one_stage else {"second_stage": LaterStage()}
    if novels:
        later["third_stage"] = THIRD_STAGE if soft_labels else replace(THIRD_STAGE, soft_labels=0.0)
    sets = TrainingSets(goemotions, stories, fiction, reman, xed, soft_labels, novels)

    def checkpoint(adapters: Adapters) -> None:
        save_adapters(out / "checkpoint", adapters)
        if adapters.scores:
            scores = "  ".join(f"{score.data} {score.value:.3f}" for score in adapters.scores)
            click.echo(f"saved; macro-F1: {scores}", err=True)

    with _ProgressReport() as report:
        if large:
            recipe = replace(UpperLayers(), **changes)
            result = pipeline.train_upper_layers(base or LARGE_BASE, sets, recipe, report, checkpoint, stages=out / "stages")
        else:
            result = pipeline.train(
                base,
                sets,
                replace(Recipe(), **changes),
                {name: replace(recipe, **changes) for name, recipe in later.items()},
                report,
                start=start_from,
                stories=not without_stories,
                checkpoint=checkpoint,
                stages=out / "stages",
            )
    save_adapters(out, result.adapters)
    shutil.rmtree(out / "stages", ignore_errors=True)
    click.echo(f"{out}: {(out / TENSORS_FILE).stat().st_size / 1e6:.2f} MB")
    _print_table(result.evaluations)


def _require_data_sets(paths: dict[str, Path | None], *, large: bool) -> None:
    """Raises click.UsageError if a data set is missing."""
    if missing := next((name for name, path in paths.items() if path is None), None):
        found = "it is in model/data/fiction" if missing == "fiction" else "model/CARD.md says where to download it"
        if large:
            raise click.UsageError(f"--large needs --{missing} ({found})")
        raise click.UsageError(f"the second stage needs --{missing} ({found}); --first-stage-only trains without it")


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
