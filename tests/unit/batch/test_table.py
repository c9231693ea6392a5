import pytest
from pyspark.sql.types import DoubleType, StringType, StructField, StructType
from undertone_batch.table import check_schema, extended, table_schema
from undertone_client.jobs import OutputError


def test_an_emotion_must_not_be_named_like_another_column() -> None:
    assert table_schema(["joy"], StringType()).names[:6] == ["id", "document", "position", "text_sha256", "label", "joy"]
    with pytest.raises(OutputError, match="a label named 'tokens'"):
        table_schema(["joy", "tokens"], StringType())


def test_a_table_of_an_earlier_release_lacks_only_the_column_of_flags() -> None:
    schema = table_schema(["joy"], StringType())
    old = StructType([field for field in schema.fields if field.name != "flags"])
    check_schema(old, "emotions.stories")
    assert extended(old, ["joy"], [], multi_label=False) == schema
    older = StructType([field for field in old.fields if field.name != "chunks"])
    with pytest.raises(OutputError, match="its columns chunks are missing"):
        check_schema(older, "emotions.stories")


def test_a_label_that_differs_from_a_column_only_by_case_is_refused() -> None:
    schema = table_schema(["joy", "fear"], StringType())
    with pytest.raises(OutputError, match="a label named 'Joy', but the table has a column 'joy'"):
        extended(schema, ["Joy", "awe"], [], multi_label=False)


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        (StructField("rating", StringType()), "'rating' has type string, but in the table it has type double"),
        (StructField("Rating", DoubleType()), "'Rating' cannot be kept, because the table has another column of that name"),
    ],
)
def test_a_kept_column_with_another_type_or_case_is_refused(kept: StructField, message: str) -> None:
    schema = table_schema(["joy"], StringType(), [StructField("rating", DoubleType())])
    assert extended(schema, ["joy"], [StructField("rating", DoubleType())], multi_label=False) == schema
    with pytest.raises(OutputError, match=message):
        extended(schema, ["joy"], [kept], multi_label=False)
