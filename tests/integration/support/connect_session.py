"""A program that uses Undertone in a local session of Spark Connect, and prints the results.

It is a process of its own, because Spark Connect changes PySpark for a whole process.
"""

import json
import sys

from pyspark.sql import SparkSession
from undertone_batch import JobConfig, RunMode, ScoringJob, Service, Source, emotions, predict
from undertone_client import SettingsError
from undertone_client.jobs.catalog import CatalogSettings, TableName

target, warehouse = sys.argv[1:]
service = Service(target)
spark = SparkSession.builder.remote("local[2]").getOrCreate()
frame = spark.sql("VALUES (1, 'A paragraph in a frame'), (2, NULL) AS frame(number, review)")
outcomes = frame.select("number", emotions("review", service).alias("emotions")).collect()
predicted = predict(frame, service, text="review").collect()
source = Source((warehouse,))
config = JobConfig(RunMode.BACKFILL, source, TableName("emotions", "posts"), CatalogSettings(warehouse=warehouse), service)
try:
    ScoringJob(spark, config)
    refusal = ""
except SettingsError as error:
    refusal = str(error)
result = {
    "emotions": {row["number"]: [row["emotions"]["label"], row["emotions"]["reason"]] for row in outcomes},
    "predict": {row["number"]: [row["label"], row["reason"]] for row in predicted},
    "refusal": refusal,
}
print(json.dumps(result))
spark.stop()
