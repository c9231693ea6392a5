"""A table of Parquet files instead of Iceberg."""

from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from undertone_batch import JobConfig, RunMode, read_scores
from undertone_batch.layout import Layout, TableFormat
from undertone_client import SettingsError
from undertone_client.jobs import OutputError

from tests.integration.support.spark import needs_java
from tests.integration.support.spark_jobs import TOO_LONG, assert_score_of, run, write_source

pytestmark = needs_java


def test_a_backfill_replaces_a_table_of_parquet(spark: SparkSession, config: JobConfig) -> None:
    layout = Layout(TableFormat.PARQUET, bucket_count=2)
    with pytest.raises(SettingsError, match="use --mode backfill, or --table-format iceberg"):
        replace(config, layout=layout)
    config = replace(config, layout=layout, mode=RunMode.BACKFILL, wave_rows=1)
    folder = config.catalog.local_warehouse / "emotions"

    def read() -> dict[str, str]:
        rows = read_scores(spark, config.table, config.catalog, table_format=TableFormat.PARQUET).collect()
        for row in rows:
            assert_score_of(row, texts[row.id])
        return {row.id: row.text_sha256 for row in rows}

    with pytest.raises(OutputError, match="posts has no complete table of scores"):
        read()
    for texts in ({str(number): f"Paragraph {number} of a folder" for number in range(20)}, {"1": "This is another paragraph"}):
        write_source(config, texts | {"long": TOO_LONG})
        summary = run(spark, config)
        assert (summary.scored, summary.failed, summary.rows) == (len(texts), 1, len(texts))
        assert read().keys() == texts.keys()
    assert pq.read_table(folder / "posts").num_rows == 1
    letters = pq.read_table(folder / "posts_dead_letters").to_pylist()
    assert [letter["id"] for letter in letters] == ["long", "long"]
    assert sorted(path.name for path in folder.iterdir()) == ["posts", "posts_dead_letters", "posts_state"]
    (state,) = (folder / "posts_state").glob("*.parquet")
    for rows in (-1, 2):  # while files are replaced, and if a part of them is missing
        state.with_name(f".{state.name}.crc").unlink(missing_ok=True)
        pq.write_table(pa.table({"rows": [rows]}), state)
        with pytest.raises(OutputError, match="posts is incomplete: a run replaces it, or was killed"):
            read()
