"""Parquet files, also those with columns of a type that Spark does not know."""

import json
from collections.abc import Mapping, Sequence

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType


def read_parquet(spark: SparkSession, locations: Sequence[str], options: Mapping[str, str]) -> DataFrame:
    """The rows of Parquet files, without columns of types that Spark cannot read.

    Spark refuses a file with such a column (timestamps in nanoseconds, decimals of more than 38
    digits), even if no query uses it.
    """
    reader = spark.read.format("parquet").options(**options)
    try:
        return reader.load(list(locations))
    except (PySparkException, Py4JJavaError):
        # Listing the files with a given schema does not read their schemas.
        files = reader.schema(StructType()).load(list(locations)).inputFiles()
        if not files:
            raise
        schema = readable_columns(spark, files[0])
        if not schema.fields:
            raise
        return spark.read.format("parquet").options(**options).schema(schema).load(list(locations))


def readable_columns(spark: SparkSession, file: str) -> StructType:
    """The columns of a Parquet file that Spark can read."""
    jvm, session = spark._jvm, spark._jsparkSession
    assert jvm is not None  # noqa: S101 - only with Spark Connect
    hadoop = spark.sparkContext._jsc.hadoopConfiguration()
    path = jvm.org.apache.hadoop.fs.Path(jvm.java.net.URI(file))
    reader = jvm.org.apache.parquet.hadoop.ParquetFileReader.open(
        jvm.org.apache.parquet.hadoop.util.HadoopInputFile.fromPath(path, hadoop)
    )
    try:
        message = reader.getFileMetaData().getSchema()
    finally:
        reader.close()
    converter = jvm.org.apache.spark.sql.execution.datasources.parquet.ParquetToSparkSchemaConverter(
        session.sessionState().conf()
    )
    schema = StructType()
    for index in range(message.getFieldCount()):
        field = jvm.java.util.ArrayList()
        field.add(message.getType(index))
        try:
            converted = converter.convert(jvm.org.apache.parquet.schema.MessageType(message.getName(), field))
        except (PySparkException, Py4JJavaError):
            continue
        schema = StructType([*schema.fields, *StructType.fromJson(json.loads(converted.json())).fields])
    return schema
