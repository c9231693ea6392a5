"""The paragraphs to score, in any format that Spark can read."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sql
from pyspark.sql.types import BinaryType, DataType, IntegralType, LongType, StringType
from undertone_client.jobs import InputError

MIN_CHARACTERS = 15
"""Shorter paragraphs are not scored (Ganiev et al., section 4)."""

DEFAULT_OPTIONS: Mapping[str, Mapping[str, str]] = {
    "csv": {"header": "true", "multiLine": "true", "escape": '"', "mode": "FAILFAST", "columnPruning": "false"}
}
"""Without FAILFAST, Spark drops the fields beyond those of the header, which may be half a text.
With column pruning it does not notice them."""

PACKAGES: Mapping[str, str] = {
    "delta": "io.delta:delta-spark_{}_2.13",
    "iceberg": "org.apache.iceberg:iceberg-spark-runtime-{}_2.13",
}
"""Maven packages of formats that are not part of Spark. Each is for one release, such as 4.1."""

DECODED = ("csv", "json", "text", "xml")
"""Formats whose bytes Spark decodes, replacing invalid bytes with U+FFFD."""

MAX_HEX_DIGITS = 64
"""The number of hexadecimal digits that a dead letter shows of an id that is not UTF-8."""

SPARK_REASON = re.compile(r"\[[A-Z][A-Z_.]+\] .*")
"""The readable line of Spark's message: [DATA_SOURCE_NOT_FOUND] Failed to find the data source."""


@dataclass(frozen=True, slots=True)
class Source:
    """The location and the columns of the paragraphs.

    Attributes:
        locations: Paths or globs. With the format `table`, the name of one table of Spark's
            catalogs (Iceberg, Delta, Hive).
        format: A data source of Spark: `parquet`, `json`, `csv`, `delta`, `iceberg`; or `table`.
        options: Options of the data source. By default, CSV files have a header and quoted line
            breaks, and a row with another number of fields than the header ends the run.
        id_column: The column with the id, of any type. Ids are converted to strings.
        text_column: The column with the text.
        min_characters: Paragraphs with fewer characters, without white space around them, are left
            out.
    """

    locations: tuple[str, ...]
    format: str = "parquet"
    options: Mapping[str, str] = field(default_factory=dict)
    id_column: str = "id"
    text_column: str = "text"
    min_characters: int = MIN_CHARACTERS

    def read(self, spark: SparkSession) -> DataFrame:
        """The rows of the source, unchanged.

        Raises:
            InputError: the source cannot be read, or a column is missing.
        """
        name = ", ".join(self.locations)
        try:
            if self.format == "table":
                frame = spark.read.table(*self.locations)
            else:
                options = {**DEFAULT_OPTIONS.get(self.format, {}), **self.options}
                frame = spark.read.format(self.format).options(**options).load(list(self.locations))
            types = {column.name: column.dataType for column in frame.schema.fields}
        except (PySparkException, Py4JJavaError) as error:
            raise InputError(f"{name} cannot be read as {self.format}: {self._reason(error, spark.version)}") from None
        for flag, column in (("--id-column", self.id_column), ("--text-column", self.text_column)):
            if column not in types:
                found = ", ".join(repr(column) for column in types) or "none"
                raise InputError(f"{name} has no column {column!r} (its columns: {found}): set {flag}")
        text_type = types[self.text_column]
        if not isinstance(text_type, (StringType, BinaryType)):
            raise InputError(
                f"{name}: the column {self.text_column!r} has type {text_type.simpleString()}, but a text is a string: set"
                " --text-column"
            )
        return frame

    def _reason(self, error: Exception, spark_version: str) -> str:
        text = str(error)
        if "DATA_SOURCE_NOT_FOUND" in text and (package := PACKAGES.get(self.format)):
            option = f"--packages {package.format(spark_version.rpartition('.')[0])}:VERSION"
            return f"Spark needs a package for this format. Add {option} to spark-submit or to PYSPARK_SUBMIT_ARGS"
        match = SPARK_REASON.search(text)
        return match[0] if match else text.splitlines()[0]

    def id_type(self, rows: DataFrame) -> DataType:
        """The type of the ids in a new table: bigint for integers, string for all others."""
        return LongType() if isinstance(rows.schema[self.id_column].dataType, IntegralType) else StringType()

    def paragraphs(self, rows: DataFrame, id_type: DataType) -> DataFrame:
        """The paragraphs of the source's rows, one for each id.

        Rows with the same id and text are `copies` of one paragraph. `problem` explains why a
        paragraph cannot be scored: no id, no text, invalid UTF-8, or an id with different texts. It
        is null for all others. A paragraph without a valid id has a null `id`, and a row for each
        text.

        Args:
            rows: The rows, from `read`.
            id_type: The type of the table's ids.

        Returns:
            `id`, `text`, `text_sha256`, `short`, `copies` and `problem`.
        """
        ident = sql.col(f"`{self.id_column}`").cast("string")
        text = sql.col(f"`{self.text_column}`").cast("string")
        valid_id = sql.coalesce(sql.is_valid_utf8(ident), sql.lit(False))  # noqa: FBT003
        hex_id = sql.substring(sql.hex(ident.cast("binary")), 1, MAX_HEX_DIGITS)
        problem = (
            sql.when(ident.isNull(), "the id is null")
            .when(~valid_id, sql.concat(sql.lit("the id is not UTF-8: X'"), hex_id, sql.lit("'")))
            .when(text.isNull(), "the text is null")
            .when(~sql.is_valid_utf8(text), "the text is not UTF-8")
        )
        if self.format in DECODED:
            reason = "contains U+FFFD, which replaces bytes that are not UTF-8; see --option encoding=NAME"
            for what, column in (("id", ident), ("text", text)):
                problem = problem.when(sql.contains(column, sql.lit("\ufffd")), f"the {what} {reason}")
        white_space = sql.lit(" \t\r\n")
        text_hash = sql.sha2(text.cast("binary"), 256)
        checked = rows.select(
            sql.when(valid_id, ident).alias("id"),
            # Without a key, all paragraphs without a valid id would be copies of one paragraph.
            sql.when(~valid_id, sql.concat_ws(" ", sql.sha2(ident.cast("binary"), 256), text_hash)).alias("key"),
            text.alias("text"),
            text_hash.alias("text_sha256"),
            (sql.char_length(sql.trim(text, white_space)) < self.min_characters).alias("short"),
            problem.alias("problem"),
        )
        first_hash, last_hash = sql.min("text_sha256"), sql.max("text_sha256")
        merged = checked.groupBy("id", "key").agg(
            sql.any_value("text", ignoreNulls=True).alias("text"),
            first_hash.alias("text_sha256"),
            sql.coalesce(sql.min("short"), sql.lit(False)).alias("short"),  # noqa: FBT003
            sql.count("*").alias("copies"),
            sql.coalesce(
                sql.min("problem"), sql.when(first_hash != last_hash, "the source has different texts with this id")
            ).alias("problem"),
        )
        return merged.drop("key").withColumn("id", sql.col("id").cast(id_type))
