"""Sources that people have: damaged files, odd names and types that change from day to day."""

import decimal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as sql
from pyspark.sql.types import DataType, LongType, StringType
from undertone_batch import Source
from undertone_batch.errors import explain_spark_errors
from undertone_batch.source.ids import id_conversion
from undertone_client.jobs import InputError

from tests.integration.support.spark import needs_java

pytestmark = needs_java

TEXT = "A paragraph that is long enough"


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return Source((str(tmp_path / "source"),))


def write(source: Source, content: str, name: str = "rows") -> None:
    folder = Path(source.locations[0])
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(content)


def write_parquet(source: Source, columns: Mapping[str, Any], name: str = "rows.parquet") -> None:
    folder = Path(source.locations[0])
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.table(dict(columns)), folder / name)


def paragraphs(spark: SparkSession, source: Source, table_ids: DataType | None = None) -> dict[Any, Row]:
    """The paragraphs of the source by id."""
    with explain_spark_errors():
        rows = source.read(spark)
        return {row.id: row for row in source.paragraphs(rows, source.id_type(rows, table_ids)).collect()}


def problems(spark: SparkSession, source: Source) -> dict[Any, str | None]:
    return {ident: row.problem for ident, row in paragraphs(spark, source).items()}


@pytest.mark.parametrize(
    "row", ["b,Well, that went better", "b", "b,one,two,three", 'b,"quoted", unquoted'], ids=["comma", "short", "more", "quote"]
)
def test_a_csv_row_with_another_number_of_fields_is_a_dead_letter(spark: SparkSession, source: Source, row: str) -> None:
    write(source, f"id,text\na,{TEXT}\n{row}\nc,{TEXT}\n")
    found = paragraphs(spark, replace(source, format="csv"))
    assert found.keys() == {"a", "b", "c"}
    assert found["a"].problem is found["c"].problem is None
    assert found["b"].problem.startswith("the row has more or fewer fields than the header")
    assert found["b"].text is None


def test_csv_rows_that_cannot_be_parsed_can_end_the_run(spark: SparkSession, source: Source) -> None:
    write(source, f"id,text\na,{TEXT}\nb,Well, that went better\n")
    with pytest.raises(InputError, match="a row of the source cannot be parsed, and --option mode=FAILFAST ends") as error:
        paragraphs(spark, replace(source, format="csv", options={"mode": "FAILFAST"}))
    assert "Well" not in str(error.value)


def test_messages_of_parsers_do_not_quote_the_text(spark: SparkSession, source: Source) -> None:
    write(source, 'id,text\na,"He said "Secret" to me"\n')
    for options, message in (
        ({"unescapedQuoteHandling": "RAISE_ERROR"}, "contains a quote that is not doubled, or is not closed: correct the row"),
        ({"maxCharsPerColumn": "10"}, "longer fields than maxColumns or maxCharsPerColumn: raise --option maxColumns=NUMBER"),
    ):
        with pytest.raises(InputError, match=message) as error:
            paragraphs(spark, replace(source, format="csv", options=options))
        assert "Secret" not in str(error.value)
    for options, message in (({"mode": "FAILFAST"}, "a row of the source cannot be parsed"), ({}, "the row is not valid JSON")):
        with pytest.raises(InputError, match=message) as error:
            paragraphs(spark, replace(source, format="json", options=options))
        assert "Secret" not in str(error.value)


def test_csv_headers_without_a_name_or_twice_are_read(spark: SparkSession, source: Source) -> None:
    """Pandas writes its index without a name."""
    write(source, f",id,x,x,text\n0,a,1,2,{TEXT}\n")
    assert problems(spark, replace(source, format="csv")) == {"a": None}


def test_csv_files_with_different_headers_are_refused(spark: SparkSession, source: Source) -> None:
    write(source, f"id,text\na,{TEXT}\n", "1")
    write(source, f"text,id\n{TEXT},b\n", "2")
    with pytest.raises(InputError, match=r"source/\d cannot be read: its CSV header differs from that of another file"):
        paragraphs(spark, replace(source, format="csv"))


@pytest.mark.parametrize("empty", ["", '""', '"  "'])
def test_empty_csv_texts_are_short(spark: SparkSession, source: Source, empty: str) -> None:
    write(source, f"id,text\na,{empty}\nb,{TEXT}\n")
    row = paragraphs(spark, replace(source, format="csv"))["a"]
    assert (row.problem, row.short) == (None, True)


def test_a_csv_null_of_the_user_is_a_dead_letter(spark: SparkSession, source: Source) -> None:
    write(source, f"id,text\na,NULL\nb,{TEXT}\n")
    options = {"nullValue": "NULL"}
    assert problems(spark, replace(source, format="csv", options=options)) == {"a": "the text is null", "b": None}


def test_json_rows_that_cannot_be_parsed_are_dead_letters(spark: SparkSession, source: Source) -> None:
    write(source, f'{{"id":1,"text":"{TEXT}"}}\n{{"id":2,"text":"{TEXT}\n\n{{"id":3,"text":"{TEXT}"}}\n')
    found = problems(spark, replace(source, format="json"))
    assert found.keys() == {1, 3, None}
    assert str(found[None]).startswith("the row is not valid JSON")


@pytest.mark.parametrize("multi_line", [False, True])
def test_lone_surrogates_in_json_are_dead_letters(spark: SparkSession, source: Source, *, multi_line: bool) -> None:
    texts = {
        "high": r"A high surrogate \ud83d alone",
        "low": r"A low surrogate \uDE00 alone",
        "swapped": r"Swapped \ude00\ud83d surrogates",
        "twice": r"One half \ud83d\ud83d\ude00 and a whole",
        "pair": r"A whole \ud83d\ude00\uD83D\uDE00 character?",
        "escaped": r"A backslash \\ud83d and four digits",
        "question": "Is this a question mark?",
    }
    rows = [f'{{"id":"{ident}","text":"{text}","author":"\\ud83d"}}' for ident, text in texts.items()]
    write(source, "[" + ",\n".join(rows) + "]" if multi_line else "\n".join(rows))
    found = paragraphs(spark, replace(source, format="json", options={"multiLine": str(multi_line)}))
    assert {ident for ident, row in found.items() if "U+FFFD" in str(row.problem)} == {"high", "low", "swapped", "twice"}
    assert found["pair"].text == "A whole \U0001f600\U0001f600 character?"
    assert found["escaped"].text == r"A backslash \ud83d and four digits"
    assert found.keys() == texts.keys()


def test_json_in_other_shapes_is_read(spark: SparkSession, source: Source) -> None:
    """Arrays in a line, a byte order mark, and columns that are names of folders."""
    folder = Path(source.locations[0]) / "day=2026-11-29"
    folder.mkdir(parents=True)
    (folder / "rows.json").write_text(f'\ufeff[{{"id":"a","text":"{TEXT}"}},{{"id":"b","text":"{TEXT}"}}]\n', encoding="utf-8")
    assert problems(spark, replace(source, format="json")) == {"a": None, "b": None}
    assert len(paragraphs(spark, replace(source, format="json", id_column="day"))) == 1
    (folder / "rows.json").write_text(f'{{"id":"c","text":"{TEXT}"}}\n', encoding="utf-16-le")
    utf_16 = replace(source, format="json", options={"encoding": "UTF-16LE", "lineSep": "\n"})
    assert problems(spark, utf_16) == {"c": None}


@pytest.mark.parametrize("blank", ["\xa0" * 20, "\u3000\u200b\ufeff" * 20], ids=ascii)
def test_white_space_of_unicode_is_short(spark: SparkSession, source: Source, blank: str) -> None:
    write_parquet(source, {"id": ["a", "b", "c"], "text": [blank, f"{blank}short{blank}", f"{blank}{TEXT}{blank}"]})
    found = paragraphs(spark, source)
    assert [found[ident].short for ident in "abc"] == [True, True, False]
    assert paragraphs(spark, replace(source, min_characters=0))["a"].short


@pytest.mark.parametrize("name", ["Text", "a.b", "a`b", "täxt ä"])
def test_names_of_columns(spark: SparkSession, source: Source, name: str) -> None:
    write_parquet(source, {"ID": ["a"], name: [TEXT]})
    assert paragraphs(spark, replace(source, text_column=name))["a"].text == TEXT


def test_dotted_names_mean_fields_unless_a_column_has_the_name(spark: SparkSession, source: Source) -> None:
    write_parquet(source, {"id": ["a"], "post": [{"text": TEXT, "x.y": "Another long paragraph", "n": 1}], "post.n": [TEXT]})
    for name, text in {"post.text": TEXT, "Post.Text": TEXT, "post.x.y": "Another long paragraph", "post.n": TEXT}.items():
        assert paragraphs(spark, replace(source, text_column=name))["a"].text == text
    with pytest.raises(InputError, match=r"has no column 'post\.other'"):
        replace(source, text_column="post.other").read(spark)


def test_types_that_spark_cannot_read_do_not_matter_in_other_columns(spark: SparkSession, source: Source) -> None:
    odd = {"at": pa.array([1], pa.timestamp("ns")), "big": pa.array([decimal.Decimal(1)], pa.decimal256(45, 0))}
    write_parquet(source, {"id": ["a"], "text": [TEXT], **odd})
    assert problems(spark, source) == {"a": None}
    with pytest.raises(InputError, match="has no column 'at'"):
        paragraphs(spark, replace(source, id_column="at"))


def test_uuids_of_parquet_are_read_as_texts(spark: SparkSession, source: Source) -> None:
    ids = [UUID(int=7), UUID("f81d4fae-7dec-11d0-a765-00a0c91e6bf6"), None]
    column = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([ident and ident.bytes for ident in ids], pa.binary(16)))
    write_parquet(source, {"id": column, "text": [TEXT] * 3, "o`ther": column})
    assert problems(spark, source) == {str(ids[0]): None, str(ids[1]): None, None: "the id is null"}
    kept = replace(source, min_characters=0, keep=("o`ther",)).read(spark).collect()
    assert [row.id for row in kept] == [row.kept["o`ther"] for row in kept] == [str(ids[0]), str(ids[1]), None]


@pytest.mark.parametrize("other", [[{"x": 1}], [5]], ids=["struct", "integer"])
def test_a_column_with_two_types_is_refused_without_names_of_java(spark: SparkSession, source: Source, other: Any) -> None:
    write_parquet(source, {"id": ["a"], "text": [TEXT]}, "1.parquet")
    write_parquet(source, {"id": ["b"], "text": other}, "2.parquet")
    file = r"([12]\.parquet|a file of the source)"  # Spark 3.5 does not always name the file
    with pytest.raises(InputError, match=rf"{file} cannot be read: .*column .*has another type") as error:
        paragraphs(spark, source)
    assert "java" not in str(error.value).lower()
    assert "Exception" not in str(error.value)


ID_TYPES = {
    "int32": pa.array([1, 2, None], pa.int32()),
    "int64": pa.array([1, 2, None], pa.int64()),
    "uint64": pa.array([1, 2, None], pa.uint64()),
    "float64": pa.array([1.0, 2.0, None], pa.float64()),
    "float32": pa.array([1.0, 2.0, None], pa.float32()),
    "decimal": pa.array([decimal.Decimal(1), decimal.Decimal(2), None], pa.decimal128(20, 2)),
    "decimal38": pa.array([decimal.Decimal(1), decimal.Decimal(2), None], pa.decimal128(38, 0)),
    "string": pa.array(["1", "2", None]),
    "binary": pa.array([b"1", b"2", None]),
}


def test_ids_have_the_type_of_the_table(spark: SparkSession, source: Source) -> None:
    write_parquet(source, ID_TYPES)
    rows = spark.read.parquet(source.locations[0])
    for table, expected in ((LongType(), [1, 2, None]), (StringType(), ["1", "2", None])):
        conversions = [id_conversion(field.name, field.dataType, table) for field in rows.schema.fields]
        converted = rows.select(*(each.convert(sql.col(each.column)).alias(each.column) for each in conversions)).collect()
        for name in ID_TYPES:
            assert [row[name] for row in converted] == expected, name


def test_a_new_table_has_integers_if_the_source_has_whole_numbers(spark: SparkSession, source: Source) -> None:
    write_parquet(source, ID_TYPES)
    strings = ("string", "binary", "uint64", "decimal38")
    for field in spark.read.parquet(source.locations[0]).schema.fields:
        expected = StringType() if field.name in strings else LongType()
        assert id_conversion(field.name, field.dataType, None).table == expected, field.name


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (pa.array([1.0, 1.5]), r"the column 'id' has type double and the id 1\.5, but an id is a string or a whole number"),
        (pa.array([1.0, 2.0**53 + 2]), r"whole number up to 9,007,199,254,740,992, .* write the ids as integers \(in pandas"),
        (pa.array([1.0, float("nan")]), r"and the id NaN"),
        (pa.array([decimal.Decimal("1.25")]), r"has type decimal\(3,2\) and the id 1\.25"),
        (pa.array([True]), "has type boolean, but an id is a string or an integer: set --id-column"),
        (pa.array([{"x": 1}]), "has type struct<x:bigint>, but an id is"),
        (pa.array([0], pa.date32()), "has type date, but the ids of the table are integers"),
    ],
    ids=str,
)
def test_ids_that_cannot_be_converted_without_loss_are_refused(
    spark: SparkSession, source: Source, ids: Any, message: str
) -> None:
    write_parquet(source, {"id": ids, "text": [TEXT] * len(ids)})
    with pytest.raises(InputError, match=message):
        paragraphs(spark, source, LongType())


def test_strings_that_are_not_integers_are_dead_letters_in_a_table_of_integers(spark: SparkSession, source: Source) -> None:
    ids = ["1", "-5", "007", "x", "9223372036854775808", " 1"]
    write_parquet(source, {"id": ids, "text": [f"{TEXT} {ident}" for ident in ids]})
    rows = source.read(spark)
    found = source.paragraphs(rows, source.id_type(rows, LongType())).collect()
    assert {row.id for row in found if row.problem is None} == {1, -5}
    reasons = {row.problem for row in found if row.problem}
    assert len(reasons) == 4
    assert "the id '007' is not an integer (bigint), but those of the table are" in reasons


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("gs://bucket/posts", "Spark has no file system for gs://: add --packages com.google"),
        ("s3://bucket/posts", "add --packages org.apache.hadoop:hadoop-aws:VERSION"),
        ("s3a://bucket/posts", "add --packages org.apache.hadoop:hadoop-aws:VERSION"),
        ("posts [1] {a", "is not a valid glob: write a backslash before [ ] { } * and ?"),
        ("no/such/folder", "Path does not exist"),
    ],
)
def test_locations_that_cannot_be_read(spark: SparkSession, source: Source, location: str, message: str) -> None:
    with pytest.raises(InputError, match="cannot be read as parquet: ") as error:
        replace(source, locations=(location,)).read(spark)
    assert message in str(error.value)
    assert "Exception" not in str(error.value)
    assert "java." not in str(error.value)


@pytest.mark.parametrize("name", ["with blank ümläut", "per%20cent+sign#tag"])
def test_names_of_folders(spark: SparkSession, tmp_path: Path, name: str) -> None:
    source = Source((str(tmp_path / name),))
    write_parquet(source, {"id": ["a"], "text": [TEXT], "at": pa.array([1], pa.timestamp("ns"))})
    assert problems(spark, source) == {"a": None}


def test_a_hidden_file_is_not_an_empty_source(spark: SparkSession, source: Source) -> None:
    write(source, f"id,text\na,{TEXT}\n", "_rows.csv")
    for location in (source.locations[0], f"{source.locations[0]}/_rows.csv"):
        with pytest.raises(InputError, match="Spark ignores files whose names begin with _ or a dot"):
            replace(source, locations=(location,), format="csv").read(spark)


def test_a_file_that_is_named_twice_is_read_as_copies(spark: SparkSession, source: Source) -> None:
    write_parquet(source, {"id": ["a"], "text": [TEXT]})
    row = paragraphs(spark, replace(source, locations=source.locations * 2))["a"]
    assert (row.copies, row.problem) == (2, None)


@pytest.mark.parametrize("option", ["ignoreCorruptFiles", "ignoreMissingFiles"])
def test_settings_of_the_session_do_not_skip_files(spark: SparkSession, source: Source, option: str) -> None:
    write_parquet(source, {"id": ["a"], "text": [TEXT]}, "1.parquet")
    write_parquet(source, {"id": ["b"], "text": [TEXT]}, "2.parquet")
    spark.conf.set(f"spark.sql.files.{option}", "true")
    try:
        rows = source.read(spark)
        for file in Path(source.locations[0]).glob("*.parquet"):
            if option == "ignoreMissingFiles":
                file.unlink()
            else:
                file.write_bytes(b"PAR1 is not enough")
        with pytest.raises(InputError, match=r"parquet cannot be read"), explain_spark_errors():
            source.paragraphs(rows, StringType()).collect()
    finally:
        spark.conf.unset(f"spark.sql.files.{option}")
