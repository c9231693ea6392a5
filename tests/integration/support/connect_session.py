"""A program that uses Undertone in a local session of Spark Connect, and prints the results.

It is a process of its own, because Spark Connect changes PySpark for a whole process.
"""

import json
import sys

from pyspark.sql import SparkSession
from undertone_batch import JobConfig, RunMode, ScoringJob, Service, Source, emotions, predict, read_scores
from undertone_client import SettingsError
from undertone_client.jobs.catalog import CatalogSettings, TableName

target, warehouse, jars = sys.argv[1:]
service = Service(target)
spark = SparkSession.builder.remote("local[2]").config("spark.jars", jars).getOrCreate()
frame = spark.sql("VALUES (1, 'A paragraph in a frame'), (2, NULL) AS frame(number, review)")
outcomes = frame.select("number", emotions("review", service).alias("emotions")).collect()
predicted = predict(frame, service, text="review").collect()
source = Source((warehouse,))
table, catalog = TableName("emotions", "posts"), CatalogSettings(warehouse=warehouse)
scores = read_scores(spark, table, catalog).collect()
try:
    ScoringJob(spark, JobConfig(RunMode.BACKFILL, source, table, catalog, service))
    refusal = ""
except SettingsError as error:
    refusal = str(error)
result = {
    "emotions": {row["number"]: [row["emotions"]["label"], row["emotions"]["reason"]] for row in outcomes},
    "predict": {row["number"]: [row["label"], row["reason"]] for row in predicted},
    "scores": {row["id"]: row["label"] for row in scores},
    "refusal": refusal,
}
print(json.dumps(result))
spark.stop()
