"""Checks of Parquet files that may not be parts of a run."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from undertone_client.jobs import OutputError


def check_is_part(path: Path) -> None:
    """Check that a file has scores, before it is deleted. A damaged file passes.

    Raises:
        OutputError: the file has another table.
    """
    try:
        names = pq.read_schema(path).names
    except (pa.ArrowException, OSError):
        return
    if "text_sha256" not in names:
        raise OutputError(f"{path} is not of a run of `undertone score`, and is not deleted: use an empty folder")
