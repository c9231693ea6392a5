"""Results of queries as a table, CSV, JSON lines or Parquet."""

import csv
import enum
import json
import math
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.parquet as pq
from rich import box
from rich.table import Table
from rich.text import Text
from undertone_client.errors import SettingsError
from undertone_client.jobs import OutputError

from undertone_cli.console import output_console
from undertone_cli.readers.names import printable
from undertone_cli.run_folder import replace_file, temporary_path

MAX_TABLE_ROWS = 100


class OutputFormat(enum.StrEnum):
    """A format of results."""

    TABLE = "table"
    """For people: the first `MAX_TABLE_ROWS` rows, with rounded numbers."""
    CSV = "csv"
    JSON = "json"
    """One object in each line."""
    PARQUET = "parquet"


def chosen_format(name: str | None, output: Path | None) -> OutputFormat:
    """The format of --format, or that of the file's suffix, or a table.

    Raises:
        SettingsError: the format needs a file, or the suffix is not that of a format.
    """
    suffixes = {
        ".csv": OutputFormat.CSV,
        ".json": OutputFormat.JSON,
        ".jsonl": OutputFormat.JSON,
        ".parquet": OutputFormat.PARQUET,
        ".txt": OutputFormat.TABLE,
    }
    if name or output is None:
        chosen = OutputFormat(name or "table")
    elif output.suffix.lower() in suffixes:
        chosen = suffixes[output.suffix.lower()]
    else:
        # Not a table for people, which has only the first rows and rounded numbers.
        raise SettingsError(f"--output {output} has no suffix of a format: use {', '.join(suffixes)}, or set --format")
    if chosen is OutputFormat.PARQUET and output is None:
        raise SettingsError("--format parquet needs a file: set --output")
    return chosen


def write_result(reader: pa.RecordBatchReader, output_format: OutputFormat, output: Path | None) -> None:
    """Writes the result to a file, or to standard output. A file is replaced when it is complete.

    Raises:
        OutputError: the file cannot be written.
        InputError: the query fails.
    """
    if output is None:
        _write_text(reader, output_format, sys.stdout)
        return
    temporary = temporary_path(output)
    try:
        if output_format is OutputFormat.PARQUET:
            with pq.ParquetWriter(temporary, reader.schema, compression="zstd") as writer:
                for batch in reader:
                    writer.write_batch(batch)
        else:
            with temporary.open("w", encoding="utf-8", newline="") as file:
                _write_text(reader, output_format, file)
        replace_file(output)
    except OSError as error:
        raise OutputError(f"{output} cannot be written: {error.strerror or error}") from None
    finally:
        temporary.unlink(missing_ok=True)


def _write_text(reader: pa.RecordBatchReader, output_format: OutputFormat, file: TextIO) -> None:
    names = reader.schema.names
    match output_format:
        case OutputFormat.CSV:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(names)
            rows.writerows([_csv_value(value) for value in row] for row in _rows(reader))
        case OutputFormat.JSON:
            for row in _rows(reader):
                line = dict(zip(names, map(_json_value, row), strict=True))
                file.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")
        case _:
            _write_table(names, _rows(reader), file)


def _rows(reader: pa.RecordBatchReader) -> Iterator[tuple[Any, ...]]:
    for batch in reader:
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _write_table(names: list[str], rows: Iterator[tuple[Any, ...]], file: TextIO) -> None:
    console = output_console(file)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in names:
        table.add_column(Text(printable(name)), overflow="ellipsis", no_wrap=True)
    for number, row in enumerate(rows):
        if number == MAX_TABLE_ROWS:
            print(f"Only the first {MAX_TABLE_ROWS} rows are shown: use --format csv for all.", file=sys.stderr)
            break
        table.add_row(*(Text(_cell(value), justify="right" if isinstance(value, int | float) else "left") for value in row))
    console.print(table)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(map(_cell, value))
    # A terminal would interpret control characters in an id or a text.
    return f"{value:.4f}" if isinstance(value, float) else printable(str(value))


def _csv_value(value: object) -> object:
    if isinstance(value, list):  # as JSON: a label may contain any separator
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value).lower() if isinstance(value, bool) else value


def _json_value(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value.isoformat() if hasattr(value, "isoformat") else value
