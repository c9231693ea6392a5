"""Reads the rows of Apache Parquet."""

from collections.abc import Collection, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from undertone_client.jobs import InputError

from undertone_cli.readers.columns import check_columns
from undertone_cli.readers.formats import ReadOptions
from undertone_cli.readers.parquet_columns import kept_values, parquet_types
from undertone_cli.readers.raw_record import RawRecord

PARQUET_BATCH_ROWS = 1024
PARQUET_BATCH_BYTES = 8 * 1024 * 1024
"""Maximum size of a batch. Longer texts reduce the number of rows."""
PARQUET_BUFFER_BYTES = 1024 * 1024
"""Makes Arrow fetch pages as needed; else it holds a whole column of a row group in memory."""
_NO_PARQUET = "Parquet magic bytes not found"
"""Part of Arrow's message for a file of another format, and for a file that was cut off."""
_TEXT_TYPES = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
"""Writers give the null type to a column that contains nulls only."""


def read_parquet(file: Any, name: str, options: ReadOptions) -> Iterator[RawRecord]:
    """A record for each row. `file` is a path or an Arrow file. Reads only the named columns.

    Raises:
        InputError: the file is not Parquet, a column is missing, or the text column is not of
            strings.
    """
    try:
        with pq.ParquetFile(file, buffer_size=PARQUET_BUFFER_BYTES, pre_buffer=False) as parquet:
            schema = parquet.schema_arrow
            check_columns(schema.names, name, options)
            kind = schema.field(options.text_column).type
            values = kind.value_type if pa.types.is_dictionary(kind) else kind
            if not any(accepts(values) for accepts in _TEXT_TYPES):
                raise InputError(f"{name}: the column {options.text_column!r} has type {kind}, not string (--text-column)")
            row = 0
            types = parquet_types(schema, name, options.id_column, options.keep)
            present = list(dict.fromkeys(column for column in options.columns if column is not None))
            row_bytes = _max_mean_row_bytes(parquet.metadata, present)
            rows = max(1, min(PARQUET_BATCH_ROWS, PARQUET_BATCH_BYTES // row_bytes))
            for batch in parquet.iter_batches(batch_size=rows, columns=present):
                columns = [
                    [None] * len(batch) if column is None else batch.column(column).to_pylist()
                    for column in options.columns[:3]
                ]
                columns += [
                    kept_values(batch.column(column), kind, column, name, row)
                    for column, kind in zip(options.keep, types.kept, strict=True)
                ]
                for text, ident, document, *kept in zip(*columns, strict=True):
                    row += 1
                    yield RawRecord(f"{name}, row {row}", text, ident, document, kept=tuple(kept), types=types)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{name} cannot be read as Parquet: {_problem(error)}") from None
    except UnicodeDecodeError:
        raise InputError(f"{name}: a string after row {row} is not UTF-8; rewrite the file with valid strings") from None


def _max_mean_row_bytes(metadata: Any, columns: Collection[str]) -> int:
    """Mean bytes of the columns of a row, in the row group where this mean is highest."""
    longest = 1
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        chunks = map(group.column, range(group.num_columns))
        size = sum(chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema in columns)
        longest = max(longest, size // max(group.num_rows, 1))
    return longest


def _problem(error: Exception) -> str:
    if _NO_PARQUET in str(error):
        return "it is of another format, or was cut off; set another --format, or get the file again"
    return str(error).rstrip(".")
