"""Parquet files, also those with columns of a type that Spark does not know."""

import json
from collections.abc import Mapping, Sequence

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as sql
from pyspark.sql.types import BinaryType, StructField, StructType

from undertone_batch.source.columns import quoted


def read_parquet(spark: SparkSession, locations: Sequence[str], options: Mapping[str, str]) -> DataFrame:
    """The rows of Parquet files, without columns of types that Spark cannot read.

    Spark refuses a file with such a column (timestamps in nanoseconds, decimals of more than 38
    digits, UUIDs), even if no query uses it. UUIDs are read as their text.
    """
    reader = spark.read.format("parquet").options(**options)
    try:
        return reader.load(list(locations))
    except (PySparkException, Py4JJavaError):
        # Listing the files with a given schema does not read their schemas.
        files = reader.schema(StructType()).load(list(locations)).inputFiles()
        if not files:
            raise
        schema, uuids = readable_columns(spark, files[0])
        if not schema.fields:
            raise
        frame = spark.read.format("parquet").options(**options).schema(schema).load(list(locations))
        return frame.withColumns({name: uuid_text(sql.col(quoted(name))) for name in uuids}) if uuids else frame


def readable_columns(spark: SparkSession, file: str) -> tuple[StructType, list[str]]:
    """The columns of a Parquet file that Spark can read, and the names of those with UUIDs."""
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
    schema, uuids = StructType(), []
    for index in range(message.getFieldCount()):
        kind = message.getType(index)
        field = jvm.java.util.ArrayList()
        field.add(kind)
        try:
            converted = converter.convert(jvm.org.apache.parquet.schema.MessageType(message.getName(), field))
        except (PySparkException, Py4JJavaError):
            if str(kind.getLogicalTypeAnnotation()) == "UUID":
                schema = StructType([*schema.fields, StructField(kind.getName(), BinaryType())])
                uuids.append(kind.getName())
            continue
        schema = StructType([*schema.fields, *StructType.fromJson(json.loads(converted.json())).fields])
    return schema, uuids


def uuid_text(column: Column) -> Column:
    """The text of UUIDs of 16 bytes, in lower case and with hyphens, as Python writes it."""
    return sql.lower(sql.regexp_replace(sql.hex(column), "^(.{8})(.{4})(.{4})(.{4})", "$1-$2-$3-$4-"))
