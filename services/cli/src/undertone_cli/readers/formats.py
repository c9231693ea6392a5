"""The formats of the inputs, and the options for reading them."""

import enum
from dataclasses import dataclass
from pathlib import PurePosixPath

from undertone_cli.readers.bad_lines import BadLinePolicy
from undertone_cli.readers.column_types import STRING, RowTypes
from undertone_cli.readers.compression import Compression

TEXT_COLUMN = "text"
"""The name of the column of plain text."""


class Format(enum.StrEnum):
    """Format of an input."""

    TEXT = "text"
    """Paragraphs separated by blank lines."""
    JSONL = "jsonl"
    """A JSON object on each line."""
    JSON = "json"
    """An array of JSON objects. The content decides between this format and JSONL."""
    CSV = "csv"
    """Comma-separated values with a header."""
    TSV = "tsv"
    """Tab-separated values with a header."""
    PARQUET = "parquet"
    """Apache Parquet."""


FORMAT_BY_SUFFIX = {
    ".txt": Format.TEXT,
    ".text": Format.TEXT,
    ".md": Format.TEXT,
    ".jsonl": Format.JSONL,
    ".ndjson": Format.JSONL,
    ".json": Format.JSON,
    ".csv": Format.CSV,
    ".tsv": Format.TSV,
    ".tab": Format.TSV,
    ".parquet": Format.PARQUET,
}


def without_compression(name: str) -> PurePosixPath:
    """The name of a file without the suffix of its compression, such as `a.txt` for `a.txt.gz`."""
    path = PurePosixPath(name)
    return path if Compression.of_name(name) is None else path.with_suffix("")


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Format and columns of the inputs. Plain text has no columns.

    Attributes:
        format: format of every input; None takes it from each file's suffix, and text for stdin.
        text_column: the column (in JSONL, the field) of the text.
        id_column: the column of the id; None makes ids of the form `<document>/<position>`.
        document_column: the column of the document's name; None takes the file's name without
            suffix.
        keep: columns that the output also has. Plain text has one column, `text`.
        min_characters: shorter paragraphs are not scored. 0 scores all.
        delimiter: the character between the fields of CSV and TSV; None is that of the format.
        quotes: whether a field of CSV or TSV can be in double quotes. If not, they are text.
        on_bad_line: what a line does that cannot be read.
    """

    format: Format | None = None
    text_column: str = "text"
    id_column: str | None = None
    document_column: str | None = None
    keep: tuple[str, ...] = ()
    min_characters: int = 0
    delimiter: str | None = None
    quotes: bool = True
    on_bad_line: BadLinePolicy = BadLinePolicy.FAIL

    @property
    def columns(self) -> tuple[str | None, ...]:
        """The columns of text, id and document, and those to keep."""
        return self.text_column, self.id_column, self.document_column, *self.keep

    @property
    def has_types(self) -> bool:
        """Whether the output has columns whose types depend on the inputs."""
        return self.id_column is not None or bool(self.keep)

    @property
    def flags(self) -> tuple[str, ...]:
        """The options that name `columns`."""
        return "--text-column", "--id-column", "--document-column", *("--keep" for _ in self.keep)

    @property
    def text_types(self) -> RowTypes:
        """The types of columns that contain strings only."""
        return RowTypes(STRING, tuple(STRING for _ in self.keep))
