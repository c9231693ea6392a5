"""Runs of the Spark job in tests: their sources, tables and dead letters."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import Row, SparkSession
from undertone_batch import JobConfig, ScoringJob, Summary, read_scores
from undertone_batch.config import new_run_id
from undertone_client import LimitSettings, Mode, Settings
from undertone_client.testing import EMOTIONS, expected_probabilities

from tests.integration.support import score_table

SETTINGS = Settings(mode=Mode.BATCH, limit=LimitSettings.fixed(2))
TOO_LONG = "word " * 20_000


def write_source(config: JobConfig, rows: Sequence[Mapping[str, object]] | dict[str, str]) -> None:
    """Replaces the paragraphs of the source: by rows, or by texts by id."""
    if isinstance(rows, dict):
        rows = [{"id": ident, "text": text} for ident, text in rows.items()]
    folder = Path(config.source.locations[0])
    folder.mkdir(exist_ok=True)
    (folder / "rows.json").write_text("".join(json.dumps(row) + "\n" for row in rows))


def run(spark: SparkSession, config: JobConfig, **changes: Any) -> Summary:
    """Runs the job once, with changed fields of the configuration."""
    job = ScoringJob(spark, replace(config, **{"run_id": new_run_id(), **changes}))
    job.run()
    return job.summary


def table(spark: SparkSession, config: JobConfig) -> dict[str, Row]:
    """The rows of the table by id. Checks that ids are unique."""
    rows = read_scores(spark, config.table, config.catalog, deleted=True).collect()
    assert max(Counter(row.id for row in rows).values()) == 1
    return {row.id: row for row in rows}


def assert_score_of(row: Row, text: str, version: int = 1) -> None:
    assert row.text_sha256 == sha256(text.encode()).hexdigest()
    assert [row[emotion] for emotion in EMOTIONS] == pytest.approx(expected_probabilities(text))
    assert (row.model_name, row.model_version, row.precision, row.policy) == ("fake", version, "fp32", "chunk-mean")


def dead_letters(config: JobConfig) -> list[dict[str, Any]]:
    """The dead letters of all runs, read by pyiceberg."""
    return score_table.rows(config.catalog.local_warehouse, str(config.table.dead_letters))


def dead_letters_by_id(config: JobConfig) -> dict[str, dict[str, Any]]:
    return {letter["id"]: letter for letter in dead_letters(config)}
