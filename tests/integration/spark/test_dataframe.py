"""`emotions()` and `predict()` in a user's DataFrames."""

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as sql
from undertone_batch import Service, emotions, predict
from undertone_batch.source.paragraphs import is_utf8
from undertone_client import SettingsError
from undertone_client.testing import EMOTIONS, expected_independent_probabilities, expected_probabilities

from tests.integration.support.background_service import BackgroundService
from tests.integration.support.spark import needs_iceberg, needs_java
from tests.integration.support.spark_jobs import SETTINGS

pytestmark = [needs_java, needs_iceberg]


def test_predict_rejects_a_frame_with_a_column_of_the_outcome(spark: SparkSession, service: BackgroundService) -> None:
    frame = spark.sql("VALUES (1, 'A paragraph in a frame', 'joy') AS frame(number, review, Label)")
    with pytest.raises(SettingsError, match="has a column 'Label', and predict adds a column of that name: rename it"):
        predict(frame, Service(service.target, SETTINGS), text="review")


def test_emotions_adds_scores_or_failures(spark: SparkSession, service: BackgroundService) -> None:
    frame = spark.sql("VALUES (1, 'A paragraph in a frame'), (2, NULL), (3, CAST(X'66FF' AS STRING)) AS frame(number, review)")
    scored = frame.select("number", emotions("review", Service(service.target, SETTINGS)).alias("emotions")).collect()
    outcomes = {row.number: row.emotions for row in scored}
    assert outcomes[1].label == max(outcomes[1].probabilities, key=outcomes[1].probabilities.get)
    assert [outcomes[1].probabilities[emotion] for emotion in EMOTIONS] == pytest.approx(
        expected_probabilities("A paragraph in a frame")
    )
    assert (outcomes[1].status, outcomes[1].reason) == ("OK", None)
    assert (outcomes[2].label, outcomes[2].status, outcomes[2].reason) == (None, "INVALID_ARGUMENT", "the text is null")
    assert (outcomes[3].probabilities, outcomes[3].reason) == (None, "the text is not UTF-8 at byte 1")


def test_emotions_has_the_labels_of_a_multi_label_model(spark: SparkSession, service: BackgroundService) -> None:
    text = "A paragraph in a frame"
    frame = spark.sql(f"VALUES (1, '{text}'), (2, NULL) AS frame(number, review)")
    service.fake.labels, service.fake.thresholds = ("joy", "fear"), (0.0, 1.0)
    target = Service(service.target, SETTINGS)
    scored = frame.select("number", emotions("review", target).alias("emotions"))
    predicted = predict(frame, target, text="review")
    for rows in (scored.selectExpr("number", "emotions.*").collect(), predicted.collect()):
        first, second = sorted(rows)
        assert first.labels_above_threshold == ["joy"]
        assert first.probabilities == pytest.approx(
            dict(zip(service.fake.labels, expected_independent_probabilities(text, 2), strict=True))
        )
        assert (second.labels_above_threshold, second.status) == (None, "INVALID_ARGUMENT")


def test_a_cast_of_bytes_is_utf8_where_python_decodes_it(spark: SparkSession) -> None:
    parts = [
        b"",
        b"a",
        "é€😀".encode(),
        b"\x80",
        b"\xc0\xaf",
        b"\xe2\x82",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        "\ufffd".encode(),
    ]
    texts = [first + second for first in parts for second in parts]
    frame = spark.createDataFrame([(text,) for text in texts], "bytes binary")
    rows = frame.select("bytes", is_utf8(sql.col("bytes").cast("string")).alias("valid")).collect()
    assert {bytes(row["bytes"]): row["valid"] for row in rows} == {text: _decodes(text) for text in texts}


def _decodes(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.parametrize("text", ["text", "Text", "post.text", "a.b", "a`b"])
def test_predict_finds_the_column_of_a_name(spark: SparkSession, service: BackgroundService, text: str) -> None:
    """In another case, in a struct, and with a dot or a backtick in its name."""
    frame = spark.sql("SELECT 1 AS `x.y`, named_struct('text', 'A first paragraph') AS post, 'A first paragraph' AS value")
    named = frame if text == "post.text" else frame.withColumnRenamed("value", {"text": "Text"}.get(text, text))
    scored = predict(named, Service(service.target, SETTINGS), text=text)
    row = scored.collect()[0]
    assert row.status == "OK"
    assert ("post" in row, row["x.y"]) == (True, 1)
    with pytest.raises(SettingsError, match=r"has no column 'other' \(its columns: 'x\.y', 'post', "):
        predict(frame, Service(service.target, SETTINGS), text="other")
