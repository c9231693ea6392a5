"""Apache Parquet."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from undertone_client.errors import InputError
from undertone_client.sources.columns import check_columns
from undertone_client.sources.item import Record
from undertone_client.sources.options import SourceOptions

ROWS_AT_ONCE = 1024


def read_parquet(path: Path, name: str, options: SourceOptions) -> Iterator[Record]:
    """A record for each row; only the named columns are read.

    Raises:
        InputError: the file is no Parquet, a column is missing, or the texts' column holds no strings.
    """
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            check_columns(schema.names, name, options)
            kind = schema.field(options.text_column).type
            values = kind.value_type if pa.types.is_dictionary(kind) else kind
            if not (pa.types.is_string(values) or pa.types.is_large_string(values) or pa.types.is_string_view(values)):
                raise InputError(f"{name}: column {options.text_column!r} holds {kind}, not strings (--text-column)")
            named = (options.text_column, options.id_column, options.document_column)
            row = 0
            for batch in file.iter_batches(batch_size=ROWS_AT_ONCE, columns=[column for column in named if column is not None]):
                columns = [[None] * len(batch) if column is None else batch.column(column).to_pylist() for column in named]
                for text, ident, document in zip(*columns, strict=True):
                    row += 1
                    yield Record(f"{name}, row {row}", text, ident, document)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{name} cannot be read as Parquet: {str(error).rstrip('.')}") from None
    except UnicodeDecodeError:
        raise InputError(f"{name}: after row {row} a string is not UTF-8; write the file again with valid strings") from None
