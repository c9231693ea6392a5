"""The scorer of the measurement of the table, which makes no calls."""

import pytest
from pyspark.sql import SparkSession
from undertone_batch import Service
from undertone_batch.dataframe import OUTCOME
from undertone_bench.table_run import hash_scores


def test_the_scorer_without_calls_has_the_columns_of_an_outcome(spark: SparkSession) -> None:
    paragraphs = spark.createDataFrame([("a", "It rained."), ("b", "It was a fine day.")], "id string, text string")
    scored = hash_scores(paragraphs, Service("localhost:1"))
    assert [(field.name, field.dataType) for field in scored.schema.fields[1:]] == [
        (field.name, field.dataType) for field in OUTCOME.fields
    ]
    rows = scored.collect()
    assert [row.id for row in rows] == ["a", "b"]
    assert [row.status for row in rows] == ["OK", "OK"]
    assert [sum(row.probabilities.values()) for row in rows] == pytest.approx([1, 1], abs=1e-6)
