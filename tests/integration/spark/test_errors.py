"""Sources, tables and services that cannot be used."""

from dataclasses import replace

import pytest
from pyspark.sql import SparkSession
from undertone_batch import JobConfig, Service, read_scores
from undertone_client import BreakerSettings, UnavailableError
from undertone_client.jobs import InputError, OutputError
from undertone_client.jobs.catalog import CatalogSettings

from tests.integration.support.background_service import BackgroundService
from tests.integration.support.spark import needs_iceberg, needs_java
from tests.integration.support.spark_jobs import SETTINGS, run, write_source

pytestmark = [needs_java, needs_iceberg]


def test_errors_are_explained_and_change_nothing(spark: SparkSession, service: BackgroundService, config: JobConfig) -> None:
    with pytest.raises(InputError, match="cannot be read as json"):
        run(spark, config)
    write_source(config, [{"name": "1", "text": "A paragraph without an id"}])
    with pytest.raises(InputError, match=r"has no column 'id' \(its columns: 'name', 'text'\): set --id-column"):
        run(spark, config)
    with pytest.raises(InputError, match="cannot be read as nonsense"):
        run(spark, config, source=replace(config.source, format="nonsense"))
    write_source(config, [])
    with pytest.raises(InputError, match=r"has no column 'id' \(its columns: none\)"):
        run(spark, config)
    with pytest.raises(InputError, match="cannot be read as parquet"):
        run(spark, config, source=replace(config.source, format="parquet"))
    write_source(config, [{"id": "1", "text": 5}])
    with pytest.raises(InputError, match=r"source: the column 'text' has type bigint, .* set --text-column"):
        run(spark, config)
    write_source(config, {"1": "A paragraph that is never sent"})
    impatient = replace(SETTINGS, breaker=BreakerSettings(patience_seconds=0))
    with pytest.raises(UnavailableError):
        run(spark, config, service=Service("127.0.0.1:1", impatient))
    with pytest.raises(OutputError, match=r"the warehouse /proc/lake cannot be created"):  # not even root can write there
        run(spark, config, catalog=CatalogSettings(warehouse="/proc/lake"))
    assert service.received_texts() == []
    with pytest.raises(OutputError, match=r"there is no table of scores emotions\.posts"):
        read_scores(spark, config.table, config.catalog)
