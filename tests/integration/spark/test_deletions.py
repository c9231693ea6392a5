"""Runs whose source lacks paragraphs of the table, and rows that were scored by a clock ahead."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from undertone_batch import JobConfig, RunMode, ScoringJob
from undertone_batch.config import new_run_id
from undertone_batch.diff import DiffKind
from undertone_batch.errors import TooManyDeletedError

from tests.integration.support.background_service import BackgroundService
from tests.integration.support.spark import needs_java
from tests.integration.support.spark_jobs import run, table

pytestmark = needs_java

DAY = [f'{number},"Paragraph {number}, as on the first day"' for number in range(50)]


def test_an_open_quote_in_a_csv_file_deletes_nothing(
    spark: SparkSession, service: BackgroundService, config: JobConfig
) -> None:
    config = replace(config, source=replace(config.source, format="csv"))
    file = Path(config.source.locations[0])
    file.write_text("\n".join(["id,text", *DAY]) + "\n")
    assert run(spark, config).scored == 50
    service.received_texts()
    damaged = [*DAY[:2], DAY[2].removesuffix('"'), *(row.replace('"', "").replace(", ", " ") for row in DAY[3:])]
    for rows, lacks in ((damaged, 47), ([], 50)):
        file.write_text("\n".join(["id,text", *rows]) + "\n")
        with pytest.raises(TooManyDeletedError, match=f"the source lacks {lacks} of the 50 paragraphs of the table"):
            run(spark, config)
    assert service.received_texts() == []
    scores = table(spark, config).values()
    assert (len(scores), sum(row.deleted_at is not None for row in scores)) == (50, 0)
    summary = run(spark, config, max_deleted_share=1)
    assert summary.kinds == {DiffKind.DELETED: 50}
    assert all(row.deleted_at for row in table(spark, config).values())


def test_a_backfill_scores_rows_of_a_clock_that_was_ahead(spark: SparkSession, config: JobConfig) -> None:
    config = replace(config, source=replace(config.source, format="csv"))
    Path(config.source.locations[0]).write_text("\n".join(["id,text", *DAY[:3]]) + "\n")
    ScoringJob(spark, config, lambda: datetime.now(UTC) + timedelta(days=1)).run()
    backfill = replace(config, mode=RunMode.BACKFILL, run_id=new_run_id())
    assert run(spark, backfill).kinds == {DiffKind.REPEATED: 3}
    assert all(row.scored_at < datetime.now() for row in table(spark, config).values())
