"""One session and one scripted service for all tests of the job: starting Spark costs more than most of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from undertone_batch import Order, RunMode, Service, Source

from tests.integration import spark_parts
from tests.integration.spark.orders import SETTINGS


@pytest.fixture(scope="package")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    with spark_parts.spark_session(tmp_path_factory.mktemp("spark")) as session:
        yield session


@pytest.fixture(scope="package")
def service() -> Iterator[spark_parts.Service]:
    running = spark_parts.Service()
    yield running
    running.close()


@pytest.fixture
def order(service: spark_parts.Service, tmp_path: Path) -> Order:
    """Everything in `source` of the test's folder, into `table` there."""
    service.sent()
    service.fake.version = 1
    source = Source((str(tmp_path / "source"),), format="json")
    return Order(
        RunMode.DAILY, source, str(tmp_path / "table"), Service(service.target, SETTINGS), max_failed_share=1, bucket_count=3
    )
