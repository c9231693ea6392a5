"""The job and `undertone publish` write the same table in turns."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pyiceberg.catalog.sql import SqlCatalog
from pyspark.sql import DataFrame, SparkSession
from sqlalchemy import event
from undertone_batch import JobConfig
from undertone_batch.diff import DiffKind
from undertone_cli.__main__ import undertone
from undertone_cli.publish import Publication, open_catalog
from undertone_cli.run_folder import RunFolder
from undertone_client.jobs import OutputError
from undertone_client.jobs.catalog import CATALOG

from tests.integration.support import score_table
from tests.integration.support.background_service import BackgroundService
from tests.integration.support.processes import TIMEOUT_SECONDS, until
from tests.integration.support.spark import needs_iceberg, needs_java
from tests.integration.support.spark_jobs import TOO_LONG, assert_score_of, dead_letters, run, table, write_source

pytestmark = [needs_java, needs_iceberg]

TEXTS = {str(number): f"Paragraph {number} of both writers" for number in range(30)}


def score(config: JobConfig, service: BackgroundService, name: str) -> Path:
    """Scores the source by the command into a new folder."""
    out = Path(config.source.locations[0]).parent / name
    command(config, service, out)
    return out


def publish(config: JobConfig, service: BackgroundService, name: str, *options: str, code: int = 0) -> str:
    """Scores the source by the command into a new folder, and publishes it."""
    destination = ["--table", str(config.table), "--warehouse", str(config.catalog.warehouse)]
    return command(config, service, Path(config.source.locations[0]).parent / name, *options, *destination, code=code)


def command(config: JobConfig, service: BackgroundService, out: Path, *options: str, code: int = 0) -> str:
    source = Path(config.source.locations[0]) / "rows.json"
    arguments = ["score", str(source), "--format", "jsonl", "--out", str(out), "--id-column", "id", "--target", service.target]
    result = CliRunner().invoke(undertone, [*arguments, *options])
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
    write_source(config, {**TEXTS, "3": "This text is different today", "new": "This paragraph is new today"} | {"4": ""})
    run(spark, config)
    assert sorted(service.received_texts()) == ["This paragraph is new today", "This text is different today"]
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


def test_neither_of_two_commits_at_the_same_time_is_lost(
    spark: SparkSession, service: BackgroundService, config: JobConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command commits after the job has written its metadata, and before they are current."""
    write_source(config, TEXTS)
    publish(config, service, "first")
    published = {"published": "This paragraph is from the command"}
    write_source(config, published)
    folder = score(config, service, "out")
    write_source(config, {**TEXTS, **published, "new": "This paragraph is new today"})
    catalog, holds_lock = open_catalog(config.catalog), threading.Event()

    def hold_lock(connection: object, cursor: object, statement: str, *arguments: object) -> None:
        if statement.startswith("UPDATE iceberg_tables"):
            files = metadata_files(config)
            holds_lock.set()
            until(lambda: metadata_files(config) > files, "the job has written the metadata of its commit")

    assert isinstance(catalog, SqlCatalog)
    event.listen(catalog.engine, "after_cursor_execute", hold_lock)
    publisher = threading.Thread(target=Publication(catalog, config.table).publish, args=[RunFolder(folder)])
    statement_of = SparkSession.sql

    def race(session: SparkSession, statement: str, *arguments: Any, **options: Any) -> DataFrame:
        if "fast_forward" in statement and publisher.ident is None:
            publisher.start()
            assert holds_lock.wait(TIMEOUT_SECONDS)
        return statement_of(session, statement, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(SparkSession, "sql", race)
        with pytest.raises(OutputError, match=r"another run has changed emotions\.posts"):
            run(spark, config)
    publisher.join()
    assert table(spark, config).keys() == {*TEXTS, "published"}
    summary = run(spark, config)
    assert summary.kinds == {DiffKind.CURRENT: len(TEXTS) + 1, DiffKind.NEW: 1}
    assert table(spark, config).keys() == {*TEXTS, "published", "new"}


def metadata_files(config: JobConfig) -> int:
    """The number of versions of the table's metadata, also those that no catalogue names."""
    return len(list(config.catalog.local_warehouse.glob(f"{config.table.namespace}/{config.table.name}/metadata/*.json")))
