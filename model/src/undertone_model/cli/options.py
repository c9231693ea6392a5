"""Options that several commands share."""

from pathlib import Path
from typing import Final

import click

FOLDER: Final = click.Path(path_type=Path, file_okay=False)

base = click.option(
    "--base",
    metavar="DIR|HUB_ID",
    help="The encoder to start from: a Hugging Face folder or hub id. Default: all-MiniLM-L6-v2 from its package.",
)
adapters = click.option("--adapters", type=FOLDER, help="Adapters that `train` wrote. Default: the committed ones.")
stories = click.option(
    "--stories", type=FOLDER, default=Path("model/data/stories"), show_default=True, help="Folder of story paragraphs."
)
