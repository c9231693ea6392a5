"""The rows of a run folder, in groups that fit into memory."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from undertone_client.jobs import OutputError

from undertone_cli.run_folder import ScoreTable

ROWS_IN_MEMORY = 250_000
"""Rows of a folder that are in memory at the same time, about 60 MB with nine emotions."""

_BUCKET = ""
"""A name that no column of a folder has."""

GetBuckets = Callable[[Any], Any]
"""Maps ids to buckets, from 0."""


@dataclass(frozen=True, slots=True)
class BucketRows:
    """The rows of a folder in one bucket of ids."""

    bucket: int
    rows: pa.Table


def rows_by_bucket(
    parts: list[Path], table: ScoreTable, buckets: GetBuckets, count: int, *, rows_in_memory: int = ROWS_IN_MEMORY
) -> Iterator[BucketRows]:
    """The rows of all parts, bucket by bucket. Reads the parts once for each group of buckets.

    Args:
        parts: the part files.
        table: reads a part.
        buckets: the bucket of an id.
        count: number of buckets.
        rows_in_memory: maximum number of rows of a group that has more than one bucket.

    Raises:
        OutputError: a part is damaged, or two rows have the same id.
    """
    of_part = [buckets(table.read(path)["id"].combine_chunks()) for path in parts]
    sizes = [0] * count
    for each in of_part:
        for entry in pc.value_counts(each).to_pylist():
            sizes[entry["values"]] += entry["counts"]
    for group in _groups(sizes, rows_in_memory):
        chunks = []
        for path, bucket in zip(parts, of_part, strict=True):
            mask = pc.and_(pc.greater_equal(bucket, group.start), pc.less(bucket, group.stop))
            if pc.any(mask).as_py():
                chunks.append(table.read(path).append_column(_BUCKET, bucket).filter(mask))
        if not chunks:
            continue
        rows = pa.concat_tables(chunks)
        for number in group:
            chosen = rows.filter(pc.equal(rows[_BUCKET], number)).drop_columns([_BUCKET])
            if chosen.num_rows:
                _check_distinct(chosen)
                yield BucketRows(number, chosen.combine_chunks())


def _groups(sizes: Sequence[int], rows_in_memory: int) -> Iterator[range]:
    """Ranges of buckets with at most `rows_in_memory` rows, or of one bucket."""
    start = rows = 0
    for bucket, size in enumerate(sizes):
        if rows and rows + size > rows_in_memory:
            yield range(start, bucket)
            start, rows = bucket, 0
        rows += size
    yield range(start, len(sizes))


def _check_distinct(rows: pa.Table) -> None:
    if pc.count_distinct(rows["id"]).as_py() == rows.num_rows:
        return
    counts = pc.value_counts(rows["id"])
    ident = counts.filter(pc.greater(counts.field("counts"), 1))[0]["values"].as_py()
    raise OutputError(
        f"the folder has more than one row with the id {ident!r}, but ids are unique in a table: score the inputs with unique "
        "ids into a new folder (--id-column)"
    )
