"""A program for spark-submit: prints from where executors import Undertone, and their scores."""

import json
import sys

from pyspark.sql import SparkSession
from pyspark.sql import functions as sql
from pyspark.sql.types import StringType
from undertone_batch import Service, predict


@sql.udf(StringType())
def location(text: str) -> str:
    import undertone_batch

    return undertone_batch.__file__


spark = SparkSession.builder.getOrCreate()
frame = spark.sql("VALUES ('A paragraph in a frame') AS frame(text)")
[[path]] = frame.select(location("text")).collect()
[row] = predict(frame, Service(sys.argv[1])).collect()
print(json.dumps({"path": path, "label": row["label"], "status": row["status"]}))
spark.stop()
