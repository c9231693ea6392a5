"""Reading paragraphs from files, folders and object stores: text, JSONL, CSV, Parquet; in constant memory, with the place of
everything that is wrong.
"""

from undertone_cli.sources.catalogue import Catalogue
from undertone_cli.sources.input import Input
from undertone_cli.sources.item import Item
from undertone_cli.sources.options import Format, SourceOptions

__all__ = ["Catalogue", "Format", "Input", "Item", "SourceOptions"]
