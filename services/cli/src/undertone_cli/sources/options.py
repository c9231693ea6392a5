"""How inputs are read."""

import enum
from dataclasses import dataclass


class Format(enum.StrEnum):
    """Form of an input."""

    TEXT = "text"
    """Paragraphs separated by blank lines."""
    JSONL = "jsonl"
    """A JSON object on each line."""
    CSV = "csv"
    """Comma-separated values with a header."""
    PARQUET = "parquet"
    """Apache Parquet."""


SUFFIXES = {
    ".txt": Format.TEXT,
    ".text": Format.TEXT,
    ".md": Format.TEXT,
    ".jsonl": Format.JSONL,
    ".ndjson": Format.JSONL,
    ".csv": Format.CSV,
    ".parquet": Format.PARQUET,
}


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """Where texts, ids and documents are found. The columns do not concern inputs of the text format.

    format: form of every input; None goes by each one's suffix, and takes standard input for text.
    text_column: the column (of JSONL, the field) with the paragraph.
    id_column: the column with its id; None makes ids of the form `<document>/<position>`.
    document_column: the column with the name of its document; None takes the file's name without its suffix.
    """

    format: Format | None = None
    text_column: str = "text"
    id_column: str | None = None
    document_column: str | None = None
