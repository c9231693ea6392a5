"""JSON files, whose malformed rows and incomplete characters are marked."""

from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as sql
from pyspark.sql.types import ArrayType, StringType, StructType

from undertone_batch.source.options import MALFORMED_COLUMN, is_set, option

BYTE_ORDER_MARK = "\ufeff"

_FILE_OPTIONS = ("multiline", "linesep", "encoding", "charset", "samplingratio", "pathglobfilter", "recursivefilelookup")

_HEX = "[0-9a-fA-F]{2}"
_HIGH = rf"\\u[dD][89abAB]{_HEX}"
_LOW = rf"\\u[dD][c-fC-F]{_HEX}"
_LONE_SURROGATE = rf"{_HIGH}(?!{_LOW})|(?<!{_HIGH}){_LOW}"
_ESCAPED_BACKSLASH = "\\\\"
_PLACEHOLDER = "\x01"
"""Stands for an escaped backslash. JSON does not allow this character in a string."""


def read_json(spark: SparkSession, locations: Sequence[str], options: Mapping[str, str]) -> DataFrame:
    """The rows of JSON files. MALFORMED_COLUMN is not null for rows that cannot be parsed.

    A lone surrogate such as `\\ud83d` is half of a character. Spark's reader replaces it by `?`.
    Here the files are read as text, lone surrogates are replaced by U+FFFD as in any other decoder,
    and Spark parses the result.
    """
    inferred = spark.read.format("json").options(**options).load(list(locations))
    if option(options, "encoding", option(options, "charset", "UTF-8")).upper() not in ("UTF-8", "UTF8"):
        return _read_encoded(spark, locations, options, inferred.schema)
    whole_files = is_set(options, "multiLine")
    reader = spark.read.format("text").options(**_text_options(options)).option("wholetext", str(whole_files).lower())
    texts = reader.load(list(locations))
    partitions = [name for name in texts.columns if name != "value"]
    # The columns of folders such as day=2026-11-29 are not in the JSON.
    fields = [field for field in inferred.schema.fields if field.name not in (*partitions, "_corrupt_record")]
    if not fields:
        return inferred
    parsing = {name: value for name, value in options.items() if name.lower() not in _FILE_OPTIONS}
    value = sql.btrim(sql.col("value"), sql.lit(BYTE_ORDER_MARK + " \t\r\n"))
    # An array, because a line or a file may contain several rows in an array.
    rows = sql.from_json(replace_lone_surrogates(value), ArrayType(StructType(fields)), parsing)
    parsed = texts.where(value != "").select(*partitions, rows.alias("rows"))
    nothing = sql.array(sql.lit(None).cast(StructType(fields)))
    row = sql.explode(sql.coalesce("rows", nothing))
    marker = sql.when(sql.col("rows").isNull(), "malformed").alias(MALFORMED_COLUMN)
    return parsed.select(*partitions, marker, row.alias("row")).select(*partitions, "row.*", MALFORMED_COLUMN)


def replace_lone_surrogates(json: Column) -> Column:
    """Replaces escaped lone surrogates in a JSON text by U+FFFD."""
    protected = sql.replace(json, sql.lit(_ESCAPED_BACKSLASH), sql.lit(_PLACEHOLDER))
    replaced = sql.regexp_replace(protected, _LONE_SURROGATE, "\ufffd")
    restored = sql.replace(replaced, sql.lit(_PLACEHOLDER), sql.lit(_ESCAPED_BACKSLASH))
    return sql.when(sql.lower(json).contains("\\ud"), restored).otherwise(json)


def _text_options(options: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in options.items() if name.lower() not in ("multiline", "encoding", "charset")}


def _read_encoded(spark: SparkSession, locations: Sequence[str], options: Mapping[str, str], schema: StructType) -> DataFrame:
    fields = [field for field in schema.fields if field.name != "_corrupt_record"]
    reader = spark.read.format("json").options(**options).option("columnNameOfCorruptRecord", MALFORMED_COLUMN)
    return reader.schema(StructType(fields).add(MALFORMED_COLUMN, StringType())).load(list(locations))
