"""Options that several commands share."""

from pathlib import Path
from typing import Final

import click

FOLDER: Final = click.Path(path_type=Path, file_okay=False)
CORPUS: Final = click.Path(path_type=Path, file_okay=False, exists=True)

base = click.option(
    "--base",
    metavar="DIR|HUB_ID",
    help="The encoder to start from: a Hugging Face folder or hub id. Default: all-MiniLM-L6-v2 from its package.",
)
adapters = click.option("--adapters", type=FOLDER, help="Adapters that `train` wrote. Default: the committed ones.")
stories = click.option(
    "--stories", type=FOLDER, default=Path("model/data/stories"), show_default=True, help="Folder of story paragraphs."
)
sample = click.option(
    "--sample",
    type=click.Path(path_type=Path),
    metavar="FILE|DIR",
    default=Path("model/data/stories"),
    show_default=True,
    help="Texts by which bf16 is compared with fp32: one a line, .jsonl with `text`, or a folder of story paragraphs.",
)
