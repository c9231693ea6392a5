"""Sources, tables and services that cannot be used."""

from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from undertone_batch import Order, Service, read_scores
from undertone_client.errors import UnavailableError
from undertone_client.jobs import InputError, OutputError

from tests.integration import spark_parts
from tests.integration.spark.orders import SETTINGS, run, write

pytestmark = spark_parts.needs_java


def test_mistakes_leave_everything_as_it_was(spark: SparkSession, service: spark_parts.Service, order: Order) -> None:
    with pytest.raises(InputError, match="cannot be read as json"):
        run(spark, order)
    write(order, [{"name": "1", "text": "A paragraph without an id"}])
    with pytest.raises(InputError, match="no column 'id'; there are: 'name', 'text'"):
        run(spark, order)
    with pytest.raises(InputError, match="cannot be read as nonsense"):
        run(spark, order, source=replace(order.source, format="nonsense"))
    write(order, [])
    with pytest.raises(InputError, match="no column 'id'; there are: none"):
        run(spark, order)
    with pytest.raises(InputError, match="cannot be read as parquet"):
        run(spark, order, source=replace(order.source, format="parquet"))
    write(order, [{"id": "1", "text": 5}])
    with pytest.raises(InputError, match=r"source: the column 'text' is of type bigint; .* Name another with --text-column"):
        run(spark, order)
    write(order, {"1": "A paragraph that nobody asks for"})
    with pytest.raises(UnavailableError):
        run(spark, order, service=Service("127.0.0.1:1", SETTINGS))
    with pytest.raises(OutputError, match=r"/proc/table/.* cannot be used"):  # where not even root can write
        run(spark, order, table="/proc/table")
    assert service.sent() == []
    assert not Path(order.table).exists()
    with pytest.raises(OutputError, match="there is no table of scores"):
        read_scores(spark, order.table)
    Path(order.table).write_text("a file, where a folder should be")
    with pytest.raises(OutputError):
        run(spark, order)
