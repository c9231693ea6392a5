"""Reads paragraphs from files, folders and object stores, in constant memory.

The formats are text, JSON Lines, JSON, CSV, TSV and Parquet, also compressed. Error messages name
the place in the input.
"""

from undertone_cli.readers.bad_lines import BadLine, BadLinePolicy
from undertone_cli.readers.column_types import RowTypes, arrow_type
from undertone_cli.readers.discovery import find_inputs
from undertone_cli.readers.formats import Format, ReadOptions
from undertone_cli.readers.inputs import Input, InputSet
from undertone_cli.readers.inspection import Fingerprint, Inspection, check_unchanged, inspect_inputs
from undertone_cli.readers.names import printable
from undertone_cli.readers.paragraphs import InputParagraph, UniqueIds
from undertone_cli.readers.piped_paragraphs import piped_paragraphs
from undertone_cli.readers.read_ahead import read_ahead
from undertone_cli.readers.snapshot import Snapshot

__all__ = [
    "BadLine",
    "BadLinePolicy",
    "Fingerprint",
    "Format",
    "Input",
    "InputParagraph",
    "InputSet",
    "Inspection",
    "ReadOptions",
    "RowTypes",
    "Snapshot",
    "UniqueIds",
    "arrow_type",
    "check_unchanged",
    "find_inputs",
    "inspect_inputs",
    "piped_paragraphs",
    "printable",
    "read_ahead",
]
