"""A table whose source has ids of another type each day."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession
from undertone_batch import JobConfig
from undertone_batch.diff import DiffKind

from tests.integration.support.background_service import BackgroundService
from tests.integration.support.spark import needs_iceberg, needs_java
from tests.integration.support.spark_jobs import dead_letters, run, table

pytestmark = [needs_java, needs_iceberg]


def test_ids_keep_the_type_of_the_table(spark: SparkSession, service: BackgroundService, config: JobConfig) -> None:
    config = replace(config, source=replace(config.source, format="parquet"))

    def write(*ids: Any) -> None:
        texts = [f"Paragraph {number} of each day" for number in range(1, len(ids) + 1)]
        pq.write_table(pa.table({"id": pa.array(ids), "text": texts}), Path(config.source.locations[0]))

    write(1, 2)
    assert run(spark, config).scored == 2
    assert table(spark, config).keys() == {1, 2}
    service.received_texts()
    write(1.0, 2.0, None)  # pandas
    summary = run(spark, config)
    assert summary.kinds == {DiffKind.CURRENT: 2, DiffKind.INVALID: 1}
    assert [(letter["id"], letter["reason"]) for letter in dead_letters(config)] == [(None, "the id is null")]
    assert service.received_texts() == []
