"""The document, the position and further columns of the source in the table."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from pyspark.sql.types import StringType
from undertone_batch import JobConfig, Source
from undertone_batch.diff import DiffKind
from undertone_client.jobs import InputError, OutputError

from tests.integration.support import score_table
from tests.integration.support.background_service import BackgroundService
from tests.integration.support.spark import needs_iceberg, needs_java
from tests.integration.support.spark_jobs import run, table, write_source

pytestmark = [needs_java, needs_iceberg]

TEXTS = [f"Paragraph {number} of a table" for number in range(40)]

VALUES: Mapping[str, pa.Array] = {
    "small": pa.array([7, None], pa.int8()),
    "unsigned": pa.array([7, None], pa.uint64()),
    "double": pa.array([7.0, None], pa.float64()),
    "digits": pa.array(["007", None]),
    "empty": pa.array(["7", ""]),
    "half": pa.array([7.0, 7.5], pa.float64()),
    "huge": pa.array([7, 2**64 - 1], pa.uint64()),
    "words": pa.array(["7", "A secret text"]),
    "fraction": pa.array([Decimal("7.25"), None], pa.decimal128(5, 2)),
    "flag": pa.array([True, None]),
    "day": pa.array([0, None], pa.date32()),
    "list": pa.array([[7], None]),
    "parts": pa.array([{"rating": 7}, None]),
    "label": pa.array(["x", None]),
    "position": pa.array(["x", None]),
}
"""Columns of two rows with different ids."""


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """Two rows with the columns of VALUES, and a copy of the first row whose columns are null."""
    rows = pa.table({"id": ["a", "b"], "text": TEXTS[:2], **VALUES})
    copy = pa.table({"id": ["a"], "text": TEXTS[:1]})
    pq.write_table(pa.concat_tables([rows, copy], promote_options="default"), tmp_path / "rows.parquet")
    return Source((str(tmp_path / "rows.parquet"),))


def kept(spark: SparkSession, source: Source) -> dict[str, list[Any]]:
    """The values of the columns by id."""
    rows = source.paragraphs(source.read(spark), StringType()).collect()
    return {row.id: list(row.kept) for row in rows}


def test_kept_columns_follow_the_source_without_new_scores(
    spark: SparkSession, service: BackgroundService, config: JobConfig
) -> None:
    rows: list[dict[str, Any]] = [
        {"id": str(number), "text": text, "story": "moby", "at": number, "kind": {"rating": number / 2}}
        for number, text in enumerate(TEXTS)
    ]
    write_source(config, rows)
    run(spark, config)
    service.received_texts()
    source = replace(config.source, document_column="story", position_column="at", keep=("kind.rating", "text"))
    assert run(spark, config, source=source).kinds == {DiffKind.MOVED: 40}
    moved = {ident: (row.document, row.position, row.rating, row.text) for ident, row in table(spark, config).items()}
    assert moved == {row["id"]: ("moby", row["at"], row["kind"]["rating"], row["text"]) for row in rows}
    rows[3]["at"] = 100
    rows[4]["text"] = "This text is different today"
    write_source(config, rows)
    assert run(spark, config, source=source).kinds == {DiffKind.CURRENT: 38, DiffKind.MOVED: 1, DiffKind.MUTATED: 1}
    assert service.received_texts() == ["This text is different today"]
    found = table(spark, config)
    assert [found["3"].position, found["4"].position, found["4"].text] == [100, 4, "This text is different today"]
    assert run(spark, config).kinds == {DiffKind.CURRENT: 40}


def test_kept_values_have_a_lossless_type(spark: SparkSession, source: Source) -> None:
    for column in ("small", "unsigned", "double", "digits", "empty"):
        assert kept(spark, replace(source, position_column=column)) == {"a": [None], "b": [None]}, "the smallest of the copies"
        one = replace(source, min_characters=0, position_column=column)
        assert {row.kept.position for row in one.read(spark).collect()} == {7, None}
    for column in ("small", "double", "digits"):
        rows = replace(source, document_column=column).read(spark)
        assert {row.kept.document for row in rows.collect()} == {"007" if column == "digits" else "7", None}
    rows = replace(source, keep=("small", "fraction", "flag", "day", "parts.rating")).read(spark)
    assert rows.schema["kept"].dataType.simpleString() == (
        "struct<small:int,fraction:decimal(5,2),flag:boolean,day:date,rating:bigint>"
    )


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"position_column": "half"}, r"the id 'b' has a value in the column 'half' \(double\) that is not an exact integer"),
        ({"position_column": "huge"}, r"'huge' \(decimal\(20,0\)\) that is not an exact integer"),
        ({"position_column": "words"}, r"'words' \(string\) that is not an exact integer"),
        ({"position_column": "flag"}, "'flag' has type boolean, but a position is an integer: set --position-column"),
        ({"position_column": "none"}, r"has no column 'none' \(.*\): set --position-column"),
        ({"document_column": "half"}, r"'half' \(double\) that is not an exact integer: set --document-column"),
        ({"document_column": "parts"}, "has type struct<rating:bigint>, but the name of a document is a string or an integer"),
        ({"keep": ("list",)}, "has type array<bigint>, but only strings, numbers, .* can be kept: name a field of it"),
        ({"keep": ("label",)}, "the input column 'label' cannot be kept, because the table has another column of that name"),
        ({"keep": ("position",)}, "the input column 'position' cannot be kept"),
        ({"keep": ("small", "Small")}, "the input column 'Small' cannot be kept"),
    ],
)
def test_columns_that_cannot_be_kept_are_refused(
    spark: SparkSession, source: Source, columns: dict[str, Any], message: str
) -> None:
    with pytest.raises((InputError, OutputError), match=message) as error:
        replace(source, **columns).read(spark)
    assert "secret" not in str(error.value)


def test_invalid_unicode_does_not_make_the_table_unreadable(spark: SparkSession, config: JobConfig) -> None:
    name = "CAST(x'61ff' AS string) AS name"
    spark.sql(f"SELECT 'a' AS id, '{TEXTS[0]}' AS text, {name}").createOrReplaceTempView("stories")
    source = Source(("stories",), format="table", document_column="name", keep=("name",))
    assert run(spark, config, source=source).kinds == {DiffKind.NEW: 1}
    (row,) = score_table.rows(config.catalog.local_warehouse, str(config.table))
    assert (row["document"], row["name"]) == ("a\ufffd", "a\ufffd")
    assert run(spark, config, source=source).kinds == {DiffKind.CURRENT: 1}
