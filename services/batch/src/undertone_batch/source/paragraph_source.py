"""The location and the columns of the paragraphs, and the frames of their rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sql
from pyspark.sql.types import BinaryType, DataType, StringType, StructType
from undertone_client.jobs import InputError
from undertone_client.jobs.paragraph_length import MIN_CHARACTERS

from undertone_batch.source.columns import require_field
from undertone_batch.source.csv_files import read_csv
from undertone_batch.source.ids import id_conversion
from undertone_batch.source.json_files import read_json
from undertone_batch.source.kept_columns import (
    KeptColumn,
    check_conversions,
    document_column,
    further_columns,
    position_column,
)
from undertone_batch.source.options import MALFORMED_COLUMN, option, with_defaults
from undertone_batch.source.paragraphs import KEPT_COLUMN, check_rows, merge_copies
from undertone_batch.source.parquet_files import read_parquet
from undertone_batch.spark_reasons import spark_reason

DECODED = ("csv", "json", "text", "xml")
"""Formats whose bytes Spark decodes, replacing invalid bytes with U+FFFD."""

READERS = {"csv": read_csv, "json": read_json, "parquet": read_parquet}
"""The formats that need more than Spark's own reader."""

MALFORMED = {
    "csv": "the row has more or fewer fields than the header: put fields with commas, quotes or line breaks into double quotes",
    "json": "the row is not valid JSON; see --option multiLine=true for rows of several lines",
}


@dataclass(frozen=True, slots=True)
class Source:
    """The location and the columns of the paragraphs.

    Attributes:
        locations: Paths or globs. With the format `table`, the name of one table of Spark's
            catalogues (Iceberg, Delta, Hive).
        format: A data source of Spark: `parquet`, `json`, `csv`, `delta`, `iceberg`; or `table`.
        options: Options of the data source. By default, CSV files have a header and quoted line
            breaks, and a row with another number of fields than the header is a dead letter.
        id_column: The column with the id: strings or integers. A dotted name such as `post.id`
            is the column of that name, or the field of a struct.
        text_column: The column with the text. The name is as that of the id.
        min_characters: Paragraphs with fewer characters, without white space around them, are left
            out.
        document_column: The column with the name of the document, a string or an integer; None to
            leave it null.
        position_column: The column with the position in the document: integers, or strings of
            decimal digits. None to leave it null.
        keep: Further columns to copy to the table: single values. A field `a.b` has the name `b`
            in the table.
    """

    locations: tuple[str, ...]
    format: str = "parquet"
    options: Mapping[str, str] = field(default_factory=dict)
    id_column: str = "id"
    text_column: str = "text"
    min_characters: int = MIN_CHARACTERS
    document_column: str | None = None
    position_column: str | None = None
    keep: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of the source in messages."""
        return ", ".join(self.locations)

    def read(self, spark: SparkSession) -> DataFrame:
        """The rows of the source: `id` and `text` as they are, `malformed`, and `kept`.

        `malformed` is whether a row of CSV or JSON could not be parsed. `kept` is a struct of
        `document`, `position` and the columns of `keep`, as far as they are set; without one of
        them, there is no such column. No other column is read.

        Positions that are not of an integer type, and documents of a fractional type, are read
        once, to find values without an equivalent in the table.

        Raises:
            InputError: the source cannot be read, or a column is missing, has a type that the
                table cannot have, or has a value without an equivalent.
            OutputError: a kept column has the name of another column of the table.
        """
        try:
            frame = self._load(spark)
            schema = frame.schema
        except (PySparkException, Py4JError) as error:
            raise InputError(f"{self.name} cannot be read as {self.format}: {spark_reason(error, spark.version)}") from None
        if schema.names == ["_corrupt_record"]:
            raise InputError(f"{self.name} cannot be read as {self.format}: {MALFORMED['json']}")
        visible = StructType([each for each in schema.fields if each.name != MALFORMED_COLUMN])
        ident, _ = require_field(visible, self.id_column, self.name, "--id-column")
        text, text_type = require_field(visible, self.text_column, self.name, "--text-column")
        if not isinstance(text_type, (StringType, BinaryType)):
            raise InputError(
                f"{self.name}: the column {self.text_column!r} has type {text_type.simpleString()}, but a text is a string: set"
                " --text-column"
            )
        marked = MALFORMED_COLUMN in schema.names
        malformed = sql.col(MALFORMED_COLUMN).isNotNull() if marked else sql.lit(False)  # noqa: FBT003
        if self.format == "csv" and not option(self.options, "nullValue"):
            # CSV has no null: most programs write an empty text without quotes.
            text = sql.when(~malformed, sql.coalesce(text, sql.lit("")))
        kept = self._kept(visible)
        check_conversions(frame.where(~malformed), ident, kept, self.name)
        columns = [sql.struct(*(each.value.alias(each.name) for each in kept)).alias(KEPT_COLUMN)] if kept else []
        return frame.select(ident.alias("id"), text.alias("text"), malformed.alias("malformed"), *columns)

    def _kept(self, schema: StructType) -> list[KeptColumn]:
        kept = further_columns(schema, self.keep, self.name)
        if self.position_column is not None:
            kept.insert(0, position_column(schema, self.position_column, self.name))
        if self.document_column is not None:
            kept.insert(0, document_column(schema, self.document_column, self.name))
        return kept

    def _load(self, spark: SparkSession) -> DataFrame:
        if self.format == "table":
            return spark.read.table(*self.locations)
        options = with_defaults(self.format, self.options)
        if reader := READERS.get(self.format):
            return reader(spark, self.locations, options)
        return spark.read.format(self.format).options(**options).load(list(self.locations))

    def id_type(self, rows: DataFrame, table: DataType | None = None) -> DataType:
        """The type of the table's ids, LongType or StringType, after a check of the source's ids.

        Args:
            rows: The rows from `read`. Ids of a fractional type are read once, to find those that
                are not whole numbers.
            table: The type of the table's ids; None for a new table.

        Raises:
            InputError: the ids cannot be converted to this type without loss.
        """
        conversion = id_conversion(self.id_column, rows.schema["id"].dataType, table)
        conversion.check(rows, "id")
        return conversion.table

    def paragraphs(self, rows: DataFrame, id_type: DataType) -> DataFrame:
        """The paragraphs of the source's rows, one for each id.

        Rows with the same id and text are `copies` of one paragraph. `problem` explains why a
        paragraph cannot be scored: its row cannot be parsed, no id, no text, invalid UTF-8, or an
        id with different texts. It is null for all others. A paragraph without a valid id has a
        null `id`, and a row for each text.

        Args:
            rows: The rows from `read`.
            id_type: The type of the table's ids, from `id_type`.

        Returns:
            `id`, `text`, `text_sha256`, `short`, `copies`, `problem`, and `kept` as in `rows`.
        """
        ids = id_conversion(self.id_column, rows.schema["id"].dataType, id_type)
        checked = check_rows(
            rows, ids, self.min_characters, malformed=MALFORMED.get(self.format, ""), decoded=self.format in DECODED
        )
        return merge_copies(checked)
