"""Formats of the source, with and without Spark packages."""

from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import Row, SparkSession
from pyspark.sql.types import StringType
from undertone_batch import Source
from undertone_batch.spark_reasons import format_package
from undertone_client.jobs import InputError

from tests.integration.support.spark import needs_java

pytestmark = needs_java


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return Source((str(tmp_path / "source"),))


def paragraphs(spark: SparkSession, source: Source) -> list[Row]:
    """The paragraphs of the source by id."""
    rows = source.paragraphs(source.read(spark), StringType()).collect()
    return sorted(rows, key=lambda row: str(row.id))


def test_the_error_for_a_missing_package_names_it(spark: SparkSession, source: Source) -> None:
    with pytest.raises(InputError) as error:
        replace(source, format="delta").read(spark)
    assert f"--packages {format_package('delta', spark.version)} to spark-submit" in str(error.value)


def test_path_and_options_are_passed_to_the_format(spark: SparkSession, source: Source) -> None:
    python_formats = pytest.importorskip("tests.integration.support.fake_format", reason="Spark 3.5 has no formats in Python")
    session = spark.newSession()
    session.dataSource.register(python_formats.FakeFormat)
    (row,) = paragraphs(session, replace(source, format="snapshots", options={"snapshot-id": "7"}))
    assert (row.id, row.text) == (source.locations[0], "Paragraph of snapshot 7")


def test_a_text_that_spark_cannot_decode_is_a_dead_letter(spark: SparkSession, source: Source) -> None:
    source = replace(source, format="csv")
    Path(source.locations[0]).write_bytes('id,text\na,"Plain, and on\ntwo lines"\nb,A naïve paragraph\n'.encode("latin-1"))
    plain, other = paragraphs(spark, source)
    assert (plain.text, plain.problem) == ("Plain, and on\ntwo lines", None)
    assert "contains U+FFFD" in other.problem
    _, other = paragraphs(spark, replace(source, options={"encoding": "ISO-8859-1"}))
    assert (other.text, other.problem) == ("A naïve paragraph", None)


def test_csv_with_padded_rows_and_other_columns_is_read(spark: SparkSession, source: Source) -> None:
    Path(source.locations[0]).write_text('id,other,text\na,x,"One, two\nthree."\nb,,A whole paragraph.\n')
    rows = paragraphs(spark, replace(source, format="csv"))
    assert [(row.text, row.problem) for row in rows] == [("One, two\nthree.", None), ("A whole paragraph.", None)]
