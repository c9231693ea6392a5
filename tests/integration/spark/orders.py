"""Orders of the tests: their sources, their runs, and what is in their tables then."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import Row, SparkSession
from undertone_batch import Job, Order, Summary, read_scores
from undertone_batch.order import new_run
from undertone_client import LimitSettings, Mode, Settings
from undertone_client.testing import EMOTIONS, expected_probabilities

SETTINGS = Settings(mode=Mode.BATCH, limit=LimitSettings.fixed(2))
TOO_LONG = "word " * 20_000


def write(order: Order, rows: Sequence[Mapping[str, object]] | dict[str, str]) -> None:
    """Make these paragraphs the source's."""
    if isinstance(rows, dict):
        rows = [{"id": ident, "text": text} for ident, text in rows.items()]
    folder = Path(order.source.locations[0])
    folder.mkdir(exist_ok=True)
    (folder / "rows.json").write_text("".join(json.dumps(row) + "\n" for row in rows))


def run(spark: SparkSession, order: Order, **others: Any) -> Summary:
    """Run the order once more, with these fields of it changed."""
    job = Job(spark, replace(order, **{"run": new_run(), **others}))
    job.run()
    return job.summary


def table(spark: SparkSession, order: Order) -> dict[str, Row]:
    """The rows by id; none of an id twice."""
    rows = read_scores(spark, order.table, deleted=True).collect()
    assert max(Counter(row.id for row in rows).values()) == 1
    return {row.id: row for row in rows}


def assert_right(row: Row, text: str, version: int = 1) -> None:
    assert row.text_sha256 == sha256(text.encode()).hexdigest()
    assert [row[emotion] for emotion in EMOTIONS] == pytest.approx(expected_probabilities(text))
    assert (row.model_name, row.model_version, row.precision, row.policy) == ("fake", version, "fp32", "chunk-mean")


def dead_letters(order: Order) -> dict[str, dict[str, object]]:
    lines = [line for file in Path(order.table).glob("dead-letters/*/*.json") for line in file.read_text().splitlines()]
    return {letter["id"]: letter for letter in map(json.loads, lines)}
