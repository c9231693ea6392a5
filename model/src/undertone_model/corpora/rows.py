"""Text and tab-separated rows of the files of corpora."""

from collections.abc import Iterator
from pathlib import Path

from undertone_model.errors import DataError


def read_text(path: Path, expected: str) -> str:
    """The content of `path`, which `expected` describes in errors.

    Bytes that are not UTF-8 are replaced, because some corpora have quotation marks in an encoding
    of their own. Raises DataError for a missing file.
    """
    try:
        return path.read_bytes().decode(errors="replace")
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; expected a file with {expected}") from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None


def read_rows(
    path: Path, expected: str, columns: int, *, header: bool = False, line_breaks: bool = False
) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and values of the rows of `path`, without a header and without empty lines.

    `expected` describes a row in errors. Values are not quoted. With `line_breaks`, a value may
    contain line breaks: a row with too few columns continues in the next line. Raises DataError,
    with file and line, for a missing file and for a row with another number of columns.
    """
    lines = enumerate(read_text(path, expected).split("\n"), 1)
    for number, line in lines:
        if (number == 1 and header) or not line.strip():
            continue
        row = line
        while line_breaks and row.count("\t") < columns - 1 and (following := next(lines, None)):
            row = f"{row} {following[1]}"
        values = row.removesuffix("\r").split("\t")
        if len(values) != columns:
            raise DataError(f"{path}, line {number}: {len(values)} columns; expected {expected}, separated by tabs")
        yield number, values


def split_labels(path: Path, number: int, labels: str, known: tuple[str, ...]) -> list[str]:
    """The comma-separated labels of a row. Raises DataError, with file and line, for another."""
    names = [label.strip() for label in labels.split(",")]
    if unknown := next((name for name in names if name not in known), None):
        raise DataError(f"{path}, line {number}: the label {unknown!r} is unknown; expected some of {', '.join(known)}")
    return names
