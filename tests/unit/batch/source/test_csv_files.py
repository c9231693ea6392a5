import pytest
from pyspark.sql.types import StringType, StructField, StructType
from undertone_batch.source.csv_files import has_made_up_names


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["id", "text"], False),
        (["_c0", "id", "text"], True),
        (["id", "x1", "X2", "text"], True),
        (["id", "v1", "text"], False),
        (["id", "q2", "q1"], False),
    ],
)
def test_names_that_spark_makes_up(names: list[str], expected: bool) -> None:
    schema = StructType([StructField(name, StringType()) for name in names])
    assert has_made_up_names(schema) is expected
