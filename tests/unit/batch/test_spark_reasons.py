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


def test_a_missing_package_is_that_of_the_release_of_spark() -> None:
    versions = ("3.5.9", "4.0.4", "4.1.4")
    assert [format_package("delta", version) for version in versions] == [
        "io.delta:delta-spark_2.12:VERSION",
        "io.delta:delta-spark_2.13:VERSION",
        "io.delta:delta-spark_4.1_2.13:VERSION",
    ]
    assert format_package("iceberg", "3.5.9") == "org.apache.iceberg:iceberg-spark-runtime-3.5_2.12:1.12.0"
