"""A table on a disk that is full, and has room again."""

from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from undertone_batch import Order
from undertone_batch.errors import JobError
from undertone_batch.plan import Kind

from tests.integration import spark_parts
from tests.integration.spark.orders import assert_right, run, table, write
from tests.integration.support.small_disk import small_disk

pytestmark = spark_parts.needs_java


def test_the_table_stays_as_it_was_until_there_is_room(spark: SparkSession, order: Order, tmp_path: Path) -> None:
    texts = {str(number): f"Paragraph {number} of a disk" for number in range(3000)}
    few = {ident: texts[ident] for ident in list(texts)[:50]}
    with small_disk(tmp_path / "disk", kilobytes=512) as disk:
        order = replace(order, table=str(disk.folder / "table"))
        write(order, few)
        first = run(spark, order)
        write(order, texts)
        with pytest.raises(JobError, match=r"No space left on device\. .* Make room, and the next run goes on"):
            run(spark, order)
        assert table(spark, order).keys() == few.keys()
        disk.grow(kilobytes=16_384)
        second = run(spark, order)
        assert (first.kinds, second.kinds) == ({Kind.NEW: 50}, {Kind.CURRENT: 50, Kind.NEW: 2950})
        rows = table(spark, order)
        assert rows.keys() == texts.keys()
        for ident, row in rows.items():
            assert_right(row, texts[ident])
