"""The checks of a source's rows, and their reduction to one row for each id."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sql
from undertone_client.jobs.paragraph_length import NOT_COUNTED

from undertone_batch.source.ids import IdConversion

KEPT_COLUMN = "kept"

MAX_HEX_DIGITS = 64
"""The number of hexadecimal digits that a dead letter shows of an id that is not UTF-8."""

REPLACED = "contains U+FFFD, which replaces what is not valid Unicode; see --option encoding=NAME"


def is_utf8(value: Column) -> Column:
    """Whether a string is valid UTF-8; null for null.

    `encode` replaces invalid bytes by U+FFFD, so its result differs from the bytes of a string that
    is not UTF-8. This check is about a fifth slower than `is_valid_utf8`, which Spark 3.5 lacks.
    """
    return sql.encode(value, "UTF-8") == value.cast("binary")


def check_rows(rows: DataFrame, ids: IdConversion, min_characters: int, *, malformed: str, decoded: bool) -> DataFrame:
    """Checks each row of a source.

    Args:
        rows: `id`, `text`, and `malformed`: whether the row could not be parsed.
        ids: The conversion of the ids.
        min_characters: Paragraphs with fewer characters are short.
        malformed: Why a row could not be parsed.
        decoded: Whether Spark decoded the bytes of the source, replacing invalid ones.

    Returns:
        `id` as in the table, `key` for rows without an id, `text`, `text_sha256`, `short` and
        `problem`.
    """
    raw_id, text = sql.col("id"), sql.col("text").cast("string")
    id_bytes = raw_id.cast("string").cast("binary")
    valid_id = sql.coalesce(is_utf8(raw_id.cast("string")), sql.lit(False))  # noqa: FBT003
    ident = sql.when(valid_id, ids.convert(raw_id))
    hex_id = sql.substring(sql.hex(id_bytes), 1, MAX_HEX_DIGITS)
    problem = (
        sql.when(sql.col("malformed"), malformed)
        .when(raw_id.isNull(), "the id is null")
        .when(~valid_id, sql.concat(sql.lit("the id is not UTF-8: X'"), hex_id, sql.lit("'")))
        .when(ident.isNull(), ids.problem(raw_id))
        .when(text.isNull(), "the text is null")
        .when(~is_utf8(text), "the text is not UTF-8")
    )
    if decoded:
        for name, column in (("id", raw_id.cast("string")), ("text", text)):
            problem = problem.when(sql.contains(column, sql.lit("\ufffd")), f"the {name} {REPLACED}")
    text_hash = sql.sha2(text.cast("binary"), 256)
    # A blank text is short for any number: the service rejects it.
    short = sql.char_length(sql.btrim(text, sql.lit(NOT_COUNTED))) < max(min_characters, 1)
    return rows.select(
        ident.alias("id"),
        # Without a key, all paragraphs without a valid id would be copies of one paragraph.
        sql.when(ident.isNull(), sql.concat_ws(" ", sql.sha2(id_bytes, 256), text_hash)).alias("key"),
        text.alias("text"),
        text_hash.alias("text_sha256"),
        short.alias("short"),
        problem.alias("problem"),
        *(name for name in rows.columns if name == KEPT_COLUMN),
    )


def merge_copies(checked: DataFrame) -> DataFrame:
    """One row for each id, and for each text without an id. Rows of one id are its `copies`.

    An id with different texts is a problem.
    """
    first_hash, last_hash = sql.min("text_sha256"), sql.max("text_sha256")
    merged = checked.groupBy("id", "key").agg(
        sql.any_value("text", ignoreNulls=True).alias("text"),
        first_hash.alias("text_sha256"),
        sql.coalesce(sql.min("short"), sql.lit(False)).alias("short"),  # noqa: FBT003
        sql.count("*").alias("copies"),
        sql.coalesce(
            sql.min("problem"), sql.when(first_hash != last_hash, "the source has different texts with this id")
        ).alias("problem"),
        # The smallest, so that a second reading of the source has the same.
        *(sql.min(name).alias(name) for name in checked.columns if name == KEPT_COLUMN),
    )
    return merged.drop("key")
