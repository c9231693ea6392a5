"""Options that several subcommands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeAlias

import click

from undertone_model.adapters import LARGE_ADAPTERS, PACKAGED_ADAPTERS
from undertone_model.bases import LARGE_BASE
from undertone_model.data import PACKAGED_STORIES

Command: TypeAlias = Callable[..., Any]

FOLDER: Final = click.Path(path_type=Path, file_okay=False)
EXISTING_FOLDER: Final = click.Path(path_type=Path, file_okay=False, exists=True)
FILE: Final = click.Path(path_type=Path, dir_okay=False, exists=True)

base = click.option(
    "--base",
    metavar="DIR|HUB_ID",
    help="Base encoder: a Hugging Face folder or hub id. Default: all-MiniLM-L6-v2 from its package, and with --large "
    f"{LARGE_BASE} from its packages (undertone-model[large]).",
)
adapters = click.option(
    "--adapters",
    type=FOLDER,
    default=PACKAGED_ADAPTERS,
    show_default="the packaged adapters",
    help="Folder of adapters that `train` wrote.",
)
large = click.option(
    "--large", is_flag=True, help="Take the large model: 12 layers, twice as wide, with seven times the CPU time."
)
stories = click.option(
    "--stories",
    type=FOLDER,
    default=PACKAGED_STORIES,
    show_default="the packaged stories",
    help="Folder of story paragraphs.",
)
sample = click.option(
    "--sample",
    type=click.Path(path_type=Path),
    metavar="FILE|DIR",
    default=PACKAGED_STORIES,
    show_default="the packaged stories, in English",
    help="Texts that compare bf16 with fp32, and that the thresholds of --languages are fitted on: a file with one text per "
    "line, a .jsonl file with `text`, or a folder of story paragraphs.",
)


def fiction_corpora(*, required: bool) -> Callable[[Command], Command]:
    """The options --fiction, --reman and --xed: the data of the stages after the first."""

    def add(command: Command) -> Command:
        for option in (
            click.option("--xed", required=required, type=FILE, metavar="FILE", help="XED: en-annotated.tsv."),
            click.option(
                "--reman",
                required=required,
                type=FILE,
                metavar="FILE",
                help="REMAN: a .tsv file with the annotated sentences and their passages.",
            ),
            click.option(
                "--fiction",
                required=required,
                type=EXISTING_FOLDER,
                help="Our paragraphs of fiction: model/data/fiction in the repository.",
            ),
        ):
            command = option(command)
        return command

    return add


def large_model(adapters: Path, base: str | None) -> tuple[Path, str]:
    """Adapters and base with --large, which replaces the defaults of --adapters and --base."""
    return LARGE_ADAPTERS if is_default("adapters") else adapters, base or LARGE_BASE


def is_default(name: str) -> bool:
    """True if the user did not set the option `name` of the current command."""
    return click.get_current_context().get_parameter_source(name) is click.core.ParameterSource.DEFAULT
