"""A table in S3 with a Glue catalogue, both served by moto."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3  # type: ignore[import-untyped]
import pytest
from pyiceberg.catalog import load_catalog
from pyspark.sql import SparkSession
from undertone_batch import JobConfig, read_scores
from undertone_batch.maintenance import Maintenance, Retention
from undertone_client.jobs.catalog import CATALOG, CatalogSettings, CatalogType

from tests.integration.support.background_service import BackgroundService
from tests.integration.support.simulated_aws import simulated_aws
from tests.integration.support.spark import needs_iceberg, needs_java
from tests.integration.support.spark_jobs import TOO_LONG, run, write_source
from tests.integration.support.table_readers import normalized

pytestmark = [needs_java, needs_iceberg]

REGION = "eu-central-1"
TEXTS = {str(number): f"Paragraph {number} of a table in S3" for number in range(4)}


@pytest.fixture
def aws(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The endpoint of S3 with the bucket `lake`, and of Glue."""
    for name, java, value in (
        ("AWS_ACCESS_KEY_ID", "aws.accessKeyId", "test"),
        ("AWS_SECRET_ACCESS_KEY", "aws.secretAccessKey", "test"),
        ("AWS_DEFAULT_REGION", "aws.region", REGION),
    ):
        monkeypatch.setenv(name, value)
        jvm: Any = spark.sparkContext._jvm
        jvm.java.lang.System.setProperty(java, value)
    with simulated_aws() as endpoint:
        location = {"LocationConstraint": REGION}
        boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket="lake", CreateBucketConfiguration=location)
        yield endpoint


def test_a_table_in_s3_with_a_glue_catalogue(
    spark: SparkSession, service: BackgroundService, config: JobConfig, aws: str
) -> None:
    service.fake.thresholds = (0.5,) * len(service.fake.labels)
    options = {"s3.endpoint": aws, "glue.endpoint": aws, "s3.path-style-access": "true", "client.region": REGION}
    catalog = CatalogSettings(CatalogType.GLUE, "s3://lake/tables", options=options)
    config = replace(config, catalog=catalog)
    write_source(config, TEXTS)
    assert run(spark, config).scored == 4
    write_source(config, {**TEXTS, "0": "This is a different text", "long": TOO_LONG})
    second = run(spark, config)
    assert (second.scored, second.failed, second.rows) == (1, 1, 4)
    for _ in Maintenance(spark, Retention(), second.started_at).run(config.table):
        pass

    by_spark = normalized(row.asDict() for row in read_scores(spark, config.table, catalog, deleted=True).collect())
    assert len(by_spark) == 4
    by_pyiceberg = load_catalog(CATALOG, type="glue", **options)
    scores = by_pyiceberg.load_table(str(config.table)).scan().to_arrow()
    assert normalized(scores.to_pylist()) == by_spark
    letters = by_pyiceberg.load_table(str(config.table.dead_letters)).scan().to_arrow()
    assert letters["id"].to_pylist() == ["long"]
    assert {entry["Name"] for entry in glue_tables(aws)} == {"posts", "posts_dead_letters"}, "no staging table remains"


def glue_tables(endpoint: str) -> list[dict[str, Any]]:
    tables: list[dict[str, Any]] = boto3.client("glue", endpoint_url=endpoint).get_tables(DatabaseName="emotions")["TableList"]
    return tables
