"""The job and `undertone publish` write the same table in turns."""

from dataclasses import replace
from pathlib import Path

from click.testing import CliRunner
from pyspark.sql import SparkSession
from undertone_batch import JobConfig
from undertone_cli.__main__ import undertone
from undertone_client.jobs.catalog import CATALOG

from tests.integration.support import score_table
from tests.integration.support.background_service import BackgroundService
from tests.integration.support.spark import needs_iceberg, needs_java
from tests.integration.support.spark_jobs import TOO_LONG, assert_score_of, dead_letters, run, table, write_source

pytestmark = [needs_java, needs_iceberg]

TEXTS = {str(number): f"Paragraph {number} of both writers" for number in range(30)}


def publish(config: JobConfig, service: BackgroundService, name: str, *options: str, code: int = 0) -> str:
    """Scores the source by the command into a new folder, and publishes it."""
    folder = Path(config.source.locations[0])
    arguments = [
        "score",
        str(folder / "rows.json"),
        "--format",
        "jsonl",
        "--out",
        str(folder.parent / name),
        "--id-column",
        "id",
    ]
    destination = ["--table", str(config.table), "--warehouse", str(config.catalog.warehouse)]
    result = CliRunner().invoke(undertone, [*arguments, *options, *destination, "--target", service.target])
    assert result.exit_code == code, result.output
    return result.output


def test_job_continues_a_table_of_the_command(spark: SparkSession, service: BackgroundService, config: JobConfig) -> None:
    write_source(config, {**TEXTS, "long": TOO_LONG})
    publish(config, service, "first", "--policy", "reject", code=1)
    service.received_texts()
    (letter,) = dead_letters(config)
    assert (letter["id"], letter["status"]) == ("long", "INVALID_ARGUMENT")

    write_source(config, TEXTS)
    publish(config, service, "second")  # the policy of the job
    service.received_texts()
    summary = run(spark, config)
    assert (summary.scored, service.received_texts()) == (0, [])

    write_source(config, {**TEXTS, "3": "This text is different today", "new": "This paragraph is new today"} | {"4": ""})
    run(spark, config)
    rows = table(spark, config)
    assert_score_of(rows["3"], "This text is different today")
    assert_score_of(rows["new"], "This paragraph is new today")
    assert rows["4"].deleted_at is not None
    assert spark.table(f"{CATALOG}.{config.table}.partitions").count() > 1


def test_command_continues_a_table_of_the_job(spark: SparkSession, service: BackgroundService, config: JobConfig) -> None:
    write_source(config, TEXTS)
    run(spark, config)
    changed = {**TEXTS, "3": "This text is different today"}
    write_source(config, changed)
    run(spark, config)  # writes delete files
    changed |= {"3": "This text is different tonight", "new": "This paragraph is new today"}
    write_source(config, [{"id": ident, "text": text, "stars": len(ident)} for ident, text in changed.items()])
    assert "1 added" in publish(config, service, "out", "--keep", "stars")
    rows = table(spark, config)
    assert rows.keys() == changed.keys()
    for ident, text in changed.items():
        assert_score_of(rows[ident], text)
    assert {rows[ident].stars for ident in changed} == {1, 2, 3}
    assert {row["id"] for row in score_table.rows(config.catalog.local_warehouse)} == changed.keys()

    service.received_texts()
    write_source(config, changed)
    summary = run(spark, replace(config, run_id="after"))
    assert (summary.scored, service.received_texts()) == (0, [])
