"""The paragraphs to be scored, wherever they are kept."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sql
from pyspark.sql.types import BinaryType, StringType
from undertone_client.jobs import InputError

from undertone_batch.table import bucket_of

MIN_CHARACTERS = 15
"""Shorter paragraphs are not scored (Ganiev et al., section 4)."""

DEFAULT_OPTIONS: Mapping[str, Mapping[str, str]] = {"csv": {"header": "true", "multiLine": "true", "escape": '"'}}

PACKAGES: Mapping[str, str] = {
    "delta": "io.delta:delta-spark_{}_2.13",
    "iceberg": "org.apache.iceberg:iceberg-spark-runtime-{}_2.13",
}
"""Maven packages of formats that Spark does not bring along; each is made for one of its releases, such as 4.1."""

DECODED = ("csv", "json", "text", "xml")
"""Formats whose bytes Spark decodes, as UTF-8 or what the option `encoding` says: what it cannot is U+FFFD, without a word."""

SHOWN_HEX = 64
"""Hexadecimal digits that a dead letter shows of an id that is not UTF-8, at most."""

SPARK_REASON = re.compile(r"\[[A-Z][A-Z_.]+\] .*")
"""The line of Spark's that is meant for people: [DATA_SOURCE_NOT_FOUND] Failed to find the data source: delta. …"""


@dataclass(frozen=True, slots=True)
class Source:
    """Where the paragraphs are, and what to take of them.

    locations: paths or globs; with the format `table`, the name of one table of Spark's catalogues (Iceberg, Delta, Hive).
    format: any data source that Spark finds: `parquet`, `json`, `csv`, `delta`, `iceberg`, or `table`.
    options: of the data source; for CSV, a header and quoted line breaks are expected unless they say otherwise.
    id_column, text_column: their names. Ids of any type are taken as strings.
    min_characters: paragraphs with fewer, white space around them aside, are left out.
    """

    locations: tuple[str, ...]
    format: str = "parquet"
    options: Mapping[str, str] = field(default_factory=dict)
    id_column: str = "id"
    text_column: str = "text"
    min_characters: int = MIN_CHARACTERS

    def open(self, spark: SparkSession) -> DataFrame:
        """The rows as they are kept.

        Raises:
            InputError: they cannot be found or read, or lack a column.
        """
        try:
            if self.format == "table":
                frame = spark.read.table(*self.locations)
            else:
                options = {**DEFAULT_OPTIONS.get(self.format, {}), **self.options}
                frame = spark.read.format(self.format).options(**options).load(list(self.locations))
            fields = {column.name: column.dataType for column in frame.schema.fields}
        except (PySparkException, Py4JJavaError) as error:
            problem = f"{', '.join(self.locations)} cannot be read as {self.format}: "
            if "DATA_SOURCE_NOT_FOUND" in str(error) and (package := PACKAGES.get(self.format)):
                remedy = f"--packages {package.format(spark.version.rpartition('.')[0])}:VERSION"
                raise InputError(
                    f"{problem}Spark has no such format without a package. Give spark-submit, or PYSPARK_SUBMIT_ARGS, {remedy}"
                ) from None
            reason = SPARK_REASON.search(str(error)) or str(error).splitlines()
            raise InputError(f"{problem}{reason[0]}") from None
        for flag, name in (("--id-column", self.id_column), ("--text-column", self.text_column)):
            if name not in fields:
                there = ", ".join(repr(column) for column in fields) or "none"
                raise InputError(f"{', '.join(self.locations)}: no column {name!r}; there are: {there}. Name it with {flag}")
        kind = fields[self.text_column]
        if not isinstance(kind, (StringType, BinaryType)):
            raise InputError(
                f"{', '.join(self.locations)}: the column {self.text_column!r} is of type {kind.simpleString()}; texts are"
                " strings. Name another with --text-column"
            )
        return frame

    def paragraphs(self, rows: DataFrame, bucket_count: int) -> DataFrame:
        """One row for each id: `id`, `bucket`, `text`, `text_sha256`, `short`, `copies` and `problem`.

        Rows with the same id and text are one paragraph in so many `copies`. `problem` says what is wrong with those that
        cannot be scored: no id, no text, bytes that are not UTF-8, or one id for several texts; it is null for all others.
        What has no id, or one that is not UTF-8, has a null `id` here, and a row for each text.
        """
        ident = sql.col(f"`{self.id_column}`").cast("string")
        text = sql.col(f"`{self.text_column}`").cast("string")
        usable = sql.coalesce(sql.is_valid_utf8(ident), sql.lit(False))  # noqa: FBT003
        shown = sql.substring(sql.hex(ident.cast("binary")), 1, SHOWN_HEX)
        problem = (
            sql.when(ident.isNull(), "the id is null")
            .when(~usable, sql.concat(sql.lit("the id is not UTF-8: X'"), shown, sql.lit("'")))
            .when(text.isNull(), "the text is null")
            .when(~sql.is_valid_utf8(text), "the text is not UTF-8")
        )
        if self.format in DECODED:
            spoiled = "has the character U+FFFD, which stands for what is not UTF-8; see --option encoding=NAME"
            for what, column in (("id", ident), ("text", text)):
                problem = problem.when(sql.contains(column, sql.lit("\ufffd")), f"the {what} {spoiled}")
        blank = sql.lit(" \t\r\n")
        digest = sql.sha2(text.cast("binary"), 256)
        found = rows.select(
            sql.when(usable, ident).alias("id"),
            # Keeps paragraphs that no id tells apart from being taken for copies of one.
            sql.when(~usable, sql.concat_ws(" ", sql.sha2(ident.cast("binary"), 256), digest)).alias("stray"),
            text.alias("text"),
            digest.alias("text_sha256"),
            (sql.char_length(sql.trim(text, blank)) < self.min_characters).alias("short"),
            problem.alias("problem"),
        )
        hashes = sql.min("text_sha256"), sql.max("text_sha256")
        merged = found.groupBy("id", "stray").agg(
            sql.any_value("text", ignoreNulls=True).alias("text"),
            hashes[0].alias("text_sha256"),
            sql.coalesce(sql.min("short"), sql.lit(False)).alias("short"),  # noqa: FBT003
            sql.count("*").alias("copies"),
            sql.coalesce(
                sql.min("problem"), sql.when(hashes[0] != hashes[1], "the id stands for several texts in the source")
            ).alias("problem"),
        )
        return merged.drop("stray").withColumn("bucket", bucket_of(sql.col("id"), bucket_count))
