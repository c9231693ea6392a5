import pytest
from undertone_batch.table import schema
from undertone_client.jobs import OutputError


def test_an_emotion_must_not_be_named_like_another_column() -> None:
    assert schema(["joy"]).names[:4] == ["id", "text_sha256", "label", "joy"]
    with pytest.raises(OutputError, match="an emotion named 'tokens'"):
        schema(["joy", "tokens"])
