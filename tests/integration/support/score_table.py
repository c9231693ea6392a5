"""The job's table, read without Spark as docs/how-to/spark.md describes."""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from undertone_client.testing import EMOTIONS, expected_probabilities


def read(table: Path) -> dict[str, dict[str, Any]]:
    """The rows of the current version by id. Checks that ids are unique."""
    version = json.loads(max(table.glob("versions/*.json")).read_text())
    files = [table / file for bucket in version["buckets"].values() for file in bucket["files"]]
    rows = pa.concat_tables([pq.ParquetFile(file).read() for file in files]).to_pylist()
    assert len(rows) == len({row["id"] for row in rows})
    return {row["id"]: row for row in rows}


def assert_scores_of(table: Path, texts: Mapping[str, str]) -> None:
    """Checks that the table has exactly the rows and scores of these texts by id."""
    rows = read(table)
    assert rows.keys() == texts.keys()
    for ident, row in rows.items():
        assert row["text_sha256"] == sha256(texts[ident].encode()).hexdigest()
        assert [row[emotion] for emotion in EMOTIONS] == pytest.approx(expected_probabilities(texts[ident]))
