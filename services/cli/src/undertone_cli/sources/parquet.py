"""Apache Parquet."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from undertone_client.jobs import InputError

from undertone_cli.sources.columns import check_columns
from undertone_cli.sources.item import Record
from undertone_cli.sources.options import SourceOptions

ROWS_AT_ONCE = 1024
BATCH_BYTES = 8 * 1024 * 1024
"""Fewer rows are taken at once where the texts are so long that those would be more than this."""
BUFFERED_BYTES = 1024 * 1024
"""Pages are fetched as they are needed; without it, Arrow holds a whole column of a row group, which may be gigabytes."""
TEXT_TYPES = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
"""The last is what writers make of a column that has nothing but nulls."""


def read_parquet(file: Any, name: str, options: SourceOptions) -> Iterator[Record]:
    """A record for each row of `file`, a path or an Arrow file; only the named columns are read.

    Raises:
        InputError: the file is no Parquet, a column is missing, or the texts' column holds no strings.
    """
    try:
        with pq.ParquetFile(file, buffer_size=BUFFERED_BYTES, pre_buffer=False) as parquet:
            schema = parquet.schema_arrow
            check_columns(schema.names, name, options)
            kind = schema.field(options.text_column).type
            values = kind.value_type if pa.types.is_dictionary(kind) else kind
            if not any(accepts(values) for accepts in TEXT_TYPES):
                raise InputError(f"{name}: column {options.text_column!r} holds {kind}, not strings (--text-column)")
            named = (options.text_column, options.id_column, options.document_column)
            row = 0
            rows_at_once = max(1, min(ROWS_AT_ONCE, BATCH_BYTES // _row_bytes(parquet.metadata, options.text_column)))
            wanted = [column for column in named if column is not None]
            for batch in parquet.iter_batches(batch_size=rows_at_once, columns=wanted):
                columns = [[None] * len(batch) if column is None else batch.column(column).to_pylist() for column in named]
                for text, ident, document in zip(*columns, strict=True):
                    row += 1
                    yield Record(f"{name}, row {row}", text, ident, document)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{name} cannot be read as Parquet: {str(error).rstrip('.')}") from None
    except UnicodeDecodeError:
        raise InputError(f"{name}: after row {row} a string is not UTF-8; write the file again with valid strings") from None


def _row_bytes(metadata: Any, column: str) -> int:
    """Bytes of a text, in the mean over the row group in which they are longest."""
    longest = 1
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for chunk in map(group.column, range(group.num_columns)):
            if chunk.path_in_schema == column and group.num_rows:
                longest = max(longest, chunk.total_uncompressed_size // group.num_rows)
    return longest
