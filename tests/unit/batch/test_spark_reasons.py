import pytest
from undertone_batch.spark_reasons import format_package, source_error, spark_reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "An error occurred while calling o1.load.\n: java.io.IOException: No space left on device\n\tat x",
            "No space left on device. The disk of the table",
        ),
        ("An error\n: java.lang.ArrayIndexOutOfBoundsException: Index 5\n\tat x", "an internal error of Spark (Index 5): see"),
        (
            "[PATH_NOT_FOUND] Path does not exist: file:/x. SQLSTATE: 42K03",
            "[PATH_NOT_FOUND] Path does not exist: file:/x.",
        ),
        (
            "Job aborted\nCaused by: java.lang.ClassCastException: class org.apache.spark.sql.types.StringType$ cannot be cast",
            "class StringType$ cannot be cast",
        ),
        (
            'x\n: org.apache.hadoop.fs.UnsupportedFileSystemException: No FileSystem for scheme "gs"',
            "Spark has no file system for gs",
        ),
        ("", "an internal error of Spark (without a message)"),
    ],
)
def test_reasons_do_not_name_classes_of_java(text: str, reason: str) -> None:
    found = spark_reason(Exception(text))
    assert found.startswith(reason)
    assert "org.apache.spark" not in found
    assert "Exception" not in found


def test_a_quoted_row_is_not_shown() -> None:
    error = source_error("[MALFORMED_CSV_RECORD] Malformed CSV record: a,Well, that went better")
    assert "Well" not in str(error)


def test_an_error_of_another_file_is_no_error_of_the_source() -> None:
    assert source_error("java.io.IOException: cannot commit") is None


SCAN = "\n\tat org.apache.spark.sql.execution.datasources.FileScanRDD$$anon$1.nextIterator(FileScanRDD.scala:291)"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "Caused by: org.apache.spark.SparkException: Parquet column cannot be converted in file file:///x/2.parquet."
            " Column: [text], Expected: string, Found: INT64."
            "\nCaused by: org.apache.spark.SchemaColumnConvertNotSupportedException:"
            " column: [text], physicalType: INT64",
            "file:///x/2.parquet cannot be read: the column 'text' has another type",
        ),
        (
            "Caused by: java.lang.ClassCastException: class StringType$ cannot be cast to class StructType",
            "a file of the source cannot be read: a column has another type",
        ),
        (
            "Caused by: java.lang.RuntimeException: file:/x/2.parquet is not a Parquet file (length is too low: 5)",
            "file:/x/2.parquet cannot be read: file:/x/2.parquet is not a Parquet file",
        ),
        (
            "Caused by: java.lang.IllegalArgumentException: CSV header does not conform to the schema.\nCSV file: file:///x/2",
            "file:///x/2 cannot be read: its CSV header differs",
        ),
        (
            "Caused by: java.io.FileNotFoundException: File file:/x/2.parquet does not exist",
            "file:/x/2.parquet cannot be read: File file:/x/2.parquet does not exist",
        ),
    ],
)
def test_spark_3_does_not_mark_the_file_of_an_error(text: str, reason: str) -> None:
    assert str(source_error(text + SCAN)).startswith(reason)
    assert source_error(text) is None, "a file of a table"


def test_a_missing_package_is_that_of_the_release_of_spark() -> None:
    versions = ("3.5.9", "4.0.4", "4.1.4")
    assert [format_package("delta", version) for version in versions] == [
        "io.delta:delta-spark_2.12:VERSION",
        "io.delta:delta-spark_2.13:VERSION",
        "io.delta:delta-spark_4.1_2.13:VERSION",
    ]
    assert format_package("iceberg", "3.5.9") == "org.apache.iceberg:iceberg-spark-runtime-3.5_2.12:1.12.0"
