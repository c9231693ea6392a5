"""`undertone-model evaluate`, and the table it shares with `train`."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from undertone_model import adapters as adapter_files
from undertone_model.cli import options
from undertone_model.cli.startup import quiet_tensorflow
from undertone_model.emotions import EMOTIONS

if TYPE_CHECKING:
    from undertone_model.evaluation import Evaluation


@click.command()
@click.option("--goemotions", required=True, type=options.CORPUS, help="Folder with test.tsv and labels.txt.")
@options.stories
@options.adapters
@options.base
def evaluate(goemotions: Path, stories: Path, adapters: Path | None, base: str | None) -> None:
    """Score adapters on both test sets.

    A row for each set without calibration, and one with each.
    """
    found = adapter_files.load(adapters or adapter_files.COMMITTED)
    with quiet_tensorflow():
        from undertone_model import pipeline
    print_table(pipeline.evaluations(base, found, pipeline.Corpora(goemotions, stories)))


def print_table(evaluations: "Iterable[Evaluation]") -> None:
    """Prints a row of figures for each evaluation."""
    table = Table("data @ prior", "rows", "accuracy", "macro-F1", "ECE", *EMOTIONS, title="F1 by emotion on the right")
    for row in evaluations:
        figures = (row.accuracy, row.macro_f1, row.expected_calibration_error, *row.f1)
        table.add_row(row.data, str(row.rows), *(f"{figure:.3f}" for figure in figures))
    Console(width=None if sys.stdout.isatty() else 200).print(table)
