import pytest
from pyspark.sql.types import StringType
from undertone_batch.table import table_schema
from undertone_client.jobs import OutputError


def test_an_emotion_must_not_be_named_like_another_column() -> None:
    assert table_schema(["joy"], StringType()).names[:6] == ["id", "document", "position", "text_sha256", "label", "joy"]
    with pytest.raises(OutputError, match="a label named 'tokens'"):
        table_schema(["joy", "tokens"], StringType())
