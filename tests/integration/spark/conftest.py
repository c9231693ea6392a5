"""One session and one service for all tests. Starting Spark takes longer than most of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from undertone_batch import JobConfig, RunMode, Service, Source
from undertone_batch.layout import Layout
from undertone_client.jobs.catalog import CatalogSettings, TableName
from undertone_client.testing import EMOTIONS

from tests.integration.support.background_service import BackgroundService
from tests.integration.support.spark import spark_session
from tests.integration.support.spark_jobs import SETTINGS


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Ignores sockets that PySpark 4.1 leaves open, and deprecated imports of PySpark 3.5."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"))
            item.add_marker(pytest.mark.filterwarnings("ignore:distutils Version classes:DeprecationWarning"))


@pytest.fixture(scope="package")
def spark_context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    with spark_session(tmp_path_factory.mktemp("spark")) as session:
        yield session


@pytest.fixture
def spark(spark_context: SparkSession) -> SparkSession:
    """A session with its own catalogues, because each test has its own warehouse."""
    return spark_context.newSession()


@pytest.fixture(scope="package")
def running_service() -> Iterator[BackgroundService]:
    service = BackgroundService()
    yield service
    service.close()


@pytest.fixture
def service(running_service: BackgroundService) -> BackgroundService:
    """The service with the first version of a single-label model, and no calls yet."""
    running_service.received_texts()
    fake = running_service.fake
    fake.version, fake.labels, fake.thresholds = 1, EMOTIONS, ()
    return running_service


@pytest.fixture
def config(service: BackgroundService, tmp_path: Path) -> JobConfig:
    """A daily run from `source` to a table in `lake`, both in the test's folder."""
    source = Source((str(tmp_path / "source"),), format="json")
    target = Service(service.target, SETTINGS)
    catalog = CatalogSettings(warehouse=str(tmp_path / "lake"))
    table = TableName("emotions", "posts")
    return JobConfig(RunMode.DAILY, source, table, catalog, target, Layout(bucket_count=3), max_failed_share=1)
