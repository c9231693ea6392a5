"""A table on a full disk."""

from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from undertone_batch import JobConfig
from undertone_batch.diff import DiffKind
from undertone_batch.errors import JobError
from undertone_client.jobs.catalog import CatalogSettings, CatalogType

from tests.integration.support.small_disk import small_disk
from tests.integration.support.spark import needs_iceberg, needs_java
from tests.integration.support.spark_jobs import assert_score_of, run, table, write_source

pytestmark = [needs_java, needs_iceberg]


def test_a_full_disk_leaves_the_table_unchanged_until_there_is_space(
    spark: SparkSession, config: JobConfig, tmp_path: Path
) -> None:
    texts = {str(number): f"Paragraph {number} of a disk" for number in range(3000)}
    few = {ident: texts[ident] for ident in list(texts)[:50]}
    # A SQLite catalogue would keep its file on the disk open.
    with small_disk(tmp_path / "disk", kilobytes=512) as disk:
        config = replace(config, catalog=CatalogSettings(CatalogType.HADOOP, str(disk.folder)))
        write_source(config, few)
        first = run(spark, config)
        write_source(config, texts)
        with pytest.raises(JobError, match=r"No space left on device\. .* Free some space: the next run continues"):
            run(spark, config)
        assert table(spark, config).keys() == few.keys()
        disk.grow(kilobytes=16_384)
        second = run(spark, config)
        assert (first.kinds, second.kinds) == ({DiffKind.NEW: 50}, {DiffKind.CURRENT: 50, DiffKind.NEW: 2950})
        rows = table(spark, config)
        assert rows.keys() == texts.keys()
        for ident in list(texts)[::100]:
            assert_score_of(rows[ident], texts[ident])
