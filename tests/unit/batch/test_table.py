import pytest
from pyspark.sql.types import StringType, StructType
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
