"""`emotions()` and `predict()` in anybody's DataFrames."""

import pytest
from pyspark.sql import SparkSession
from undertone_batch import Service, emotions, predict
from undertone_client import SettingsError
from undertone_client.testing import EMOTIONS, expected_probabilities

from tests.integration import spark_parts
from tests.integration.spark.orders import SETTINGS

pytestmark = spark_parts.needs_java


def test_predict_overwrites_no_column(spark: SparkSession, service: spark_parts.Service) -> None:
    frame = spark.sql("VALUES (1, 'A paragraph in a frame', 'joy') AS frame(number, review, Label)")
    with pytest.raises(SettingsError, match="has a column 'Label', and predict adds one of this name; rename it"):
        predict(frame, Service(service.target, SETTINGS), text="review")


def test_emotions_of_anybodys_frame(spark: SparkSession, service: spark_parts.Service) -> None:
    frame = spark.sql("VALUES (1, 'A paragraph in a frame'), (2, NULL), (3, CAST(X'66FF' AS STRING)) AS frame(number, review)")
    scored = frame.select("number", emotions("review", Service(service.target, SETTINGS)).alias("emotions")).collect()
    found = {row.number: row.emotions for row in scored}
    assert found[1].label == max(found[1].probabilities, key=found[1].probabilities.get)
    assert [found[1].probabilities[emotion] for emotion in EMOTIONS] == pytest.approx(
        expected_probabilities("A paragraph in a frame")
    )
    assert (found[1].status, found[1].reason) == ("OK", None)
    assert (found[2].label, found[2].status, found[2].reason) == (None, "INVALID_ARGUMENT", "the text is null")
    assert (found[3].probabilities, found[3].reason) == (None, "the text is not UTF-8 at byte 1")
