"""Options that subcommands share, and the output of their reports."""

import functools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import click
from undertone_client.errors import SettingsError
from undertone_client.settings import validate_target

from undertone_bench.errors import BenchError
from undertone_bench.experiment import Experiment
from undertone_bench.models import PRECISIONS, BenchModel
from undertone_bench.report import Report, Table
from undertone_bench.workload import split_paragraphs

RESULTS: Final = Path("build/bench/results")
DEMO_TEXTS: Final = Path("model/data/demo")


class FiniteRange(click.FloatRange):
    """A number in a range. Refuses NaN and infinity, which click.FloatRange accepts."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


POSITIVE: Final = FiniteRange(min=0, min_open=True)
"""Type of options that must not be 0."""

Command = Callable[..., Any]


class Target(click.ParamType[str]):
    """The address of a service, as the client library accepts it."""

    name = "HOST:PORT"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return validate_target(value)
        except SettingsError as error:
            self.fail(str(error), param, ctx)


target_option = click.option("--target", type=Target(), help="Address of a running service. Default: start a pod.")

output_option = click.option(
    "--output",
    default=RESULTS,
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the report (JSON) and the plot (PNG).",
)

demo_texts_option = click.option(
    "--texts",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File of paragraphs separated by blank lines; repeatable. Default: the demo stories in model/data/demo.",
)


texts_option = click.option(
    "--texts",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File of paragraphs separated by blank lines. Default: paragraphs with the paper's lengths.",
)


def repeat_option(default: int) -> Callable[[Command], Command]:
    return count_option("--repeat", default=default, help_text="Number of times that a run scores the texts.")


def seconds_option(
    name: str, default: float, help_text: str, kind: click.FloatRange = POSITIVE
) -> Callable[[Command], Command]:
    """An option for a duration in seconds, which is positive unless `kind` says otherwise."""
    return click.option(name, default=default, show_default=True, type=kind, metavar="SECONDS", help=help_text)


def read_texts(paths: Sequence[Path], repeat: int) -> list[str]:
    """The paragraphs of the files, or of the demo stories, `repeat` times.

    Raises BenchError if there are none.
    """
    found = list(paths) or sorted(DEMO_TEXTS.glob("*.txt"))
    if not found:
        raise BenchError(f"{DEMO_TEXTS} has no *.txt file: run undertone-bench from the repository's root, or use --texts")
    return split_paragraphs(found) * repeat


def count_option(*names: str, default: int, help_text: str, least: int = 1) -> Callable[[Command], Command]:
    """An option for a number of things, which is at least `least`."""
    return click.option(*names, default=default, show_default=True, type=click.IntRange(least), help=help_text)


def rounds_option(default: int) -> Callable[[Command], Command]:
    return count_option("--rounds", default=default, help_text="Number of measured rounds.")


def model_option(command: Command) -> Command:
    return click.option(
        "--model",
        default="demo",
        show_default=True,
        help="demo, a model folder, or random weights of this size: minilm, bert-base, bert-large, roberta-base, "
        "distilbert-base, electra-base, mpnet-base, modernbert-base or deberta-v3-base.",
    )(command)


def precision_option(command: Command) -> Command:
    return click.option(
        "--precision", type=click.Choice(PRECISIONS), help="Precision of a random model. Default: the exporter's."
    )(command)


def precisions_option(default: str) -> Callable[[Command], Command]:
    """The repeatable option --precision; `default` says what is measured without it."""
    return click.option(
        "--precision",
        "precisions",
        multiple=True,
        type=click.Choice(PRECISIONS),
        help=f"Precision of a random model; repeatable. Default: {default}.",
    )


def experiment_options(*, rounds: int | None) -> Callable[[Command], Command]:
    """Add the options of an Experiment, and pass it to the command as `experiment`.

    `rounds` is the default of --rounds. None is for a command that does not repeat its measurement:
    it has no such option.
    """

    optional_rounds: Callable[[Command], Command] = rounds_option(rounds) if rounds else lambda command: command

    def decorate(command: Command) -> Command:
        @model_option
        @precision_option
        @texts_option
        @optional_rounds
        @click.option(
            "--sidecar-flag", "sidecar_flags", multiple=True, metavar="FLAG", help="A flag for the sidecar; repeatable."
        )
        @functools.wraps(command)
        def run(
            *,
            model: str,
            precision: str | None,
            texts: Path | None,
            sidecar_flags: Sequence[str],
            rounds: int = 1,
            **options: Any,
        ) -> Any:
            experiment = Experiment.create(BenchModel.find(model, precision), texts, rounds, sidecar_flags)
            return command(experiment=experiment, **options)

        return run

    return decorate


def reporting(command: Callable[..., Report]) -> Command:
    """Add --output, and print and write the report that the command returns."""

    @output_option
    @functools.wraps(command)
    def run(*, output: Path, **options: Any) -> None:
        create_folder("--output", output)
        finish(command(**options), output)

    return run


def create_folder(option: str, folder: Path) -> None:
    """Create the folder of an option before a measurement.

    Raises click.UsageError if it cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.UsageError(f"{option} {folder} cannot be created: {error.strerror}. Name another folder") from None


def finish(report: Report, output: Path) -> None:
    """Print the report's plot, table and figures, and write the report and its plot to `output`."""
    path = report.write(output)
    if report.plot:
        from undertone_bench import plots  # matplotlib takes half a second to import

        plots.draw(report.plot, path.with_suffix(".png"))
        click.echo(plots.as_text(report.plot))
    click.echo(f"{report.summary.environment}\n")
    click.echo(aligned(report.summary.table))
    if report.summary.figures:
        click.echo()
    for figure in report.summary.figures:
        goal = f"   goal: {figure.goal}" if figure.goal else ""
        click.echo(f"{figure.name}: {figure.value:{figure.spec}}{goal}")
    for note in report.summary.notes:
        click.echo(f"\n{note}")
    progress(f"\nreport: {path}")


def progress(message: str) -> None:
    """Print a line about a long measurement to standard error."""
    click.echo(message, err=True)


def aligned(table: Table) -> str:
    """The table as text with aligned columns."""
    rows = (table.header, *table.rows)
    widths = [max(len(row[column]) for row in rows) for column in range(len(table.header))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
