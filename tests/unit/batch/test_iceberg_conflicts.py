from typing import cast

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import Row, SparkSession
from undertone_batch.iceberg_conflicts import ATTEMPTS, is_conflict, repeat_lost_commits

LOST = PySparkException("org.apache.iceberg.exceptions.CommitFailedException: Table metadata refresh is required")
OTHER = PySparkException("Cannot fast-forward: main is not an ancestor of branch")


class FakeSpark:
    """Fails with one error after the other, then returns a row."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    def sql(self, statement: str) -> "FakeSpark":
        if self.errors:
            raise self.errors.pop(0)
        return self

    def collect(self) -> list[Row]:
        return [Row("found")]


def test_a_statement_is_repeated_after_longer_and_longer_waits() -> None:
    waits: list[float] = []
    spark = cast("SparkSession", FakeSpark(LOST, LOST, LOST))
    assert repeat_lost_commits(spark, "DROP", waits.append) == [Row("found")]
    assert waits == pytest.approx([0.1, 0.2, 0.4])


@pytest.mark.parametrize(("errors", "repeated"), [([LOST] * (ATTEMPTS + 1), ATTEMPTS - 1), ([OTHER, OTHER], 0)])
def test_the_last_error_is_raised(errors: list[Exception], repeated: int) -> None:
    waits: list[float] = []
    with pytest.raises(PySparkException) as raised:
        repeat_lost_commits(cast("SparkSession", FakeSpark(*errors)), "DROP", waits.append)
    assert (len(waits), raised.value) == (repeated, errors[0])
    assert is_conflict(raised.value)
