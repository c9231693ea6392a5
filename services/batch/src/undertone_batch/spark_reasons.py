"""Readable reasons in place of Spark's exceptions, without names of Java's classes."""

import re

from undertone_client.errors import UndertoneError
from undertone_client.jobs import InputError
from undertone_client.jobs.catalog import CatalogType

from undertone_batch.iceberg_packages import iceberg_packages

DELTA = {"3.5": "delta-spark_2.12", "4.0": "delta-spark_2.13"}
"""Delta's artifacts by the release of Spark. Those for a newer Spark name its release."""

FILE_SYSTEMS = {
    "s3": "org.apache.hadoop:hadoop-aws:VERSION, with VERSION the one of Spark's Hadoop, and use s3a:// instead of s3://",
    "s3a": "org.apache.hadoop:hadoop-aws:VERSION, with VERSION the one of Spark's Hadoop",
    "gs": "com.google.cloud.bigdataoss:gcs-connector:VERSION",
    "abfs": "org.apache.hadoop:hadoop-azure:VERSION, with VERSION the one of Spark's Hadoop",
    "abfss": "org.apache.hadoop:hadoop-azure:VERSION, with VERSION the one of Spark's Hadoop",
}
"""Maven packages of file systems that are not part of Spark, by the scheme of a URL."""

_CONDITION = re.compile(r"\[[A-Z][A-Z0-9_.]+\] .*")
"""The readable line of Spark's message: [DATA_SOURCE_NOT_FOUND] Failed to find the data source."""
_SQLSTATE = re.compile(r"\s*SQLSTATE: \w+")
_CLASS = r"(?:[a-z_]\w*\.)+[A-Z][\w$]*"
_CAUSE = re.compile(rf"^(?:Caused by: |: )?{_CLASS}(?:Exception|Error): (.*)$", re.MULTILINE)
_LEADING_CLASS = re.compile(rf"^(?:{_CLASS}: )+")
_ANY_CLASS = re.compile(rf"\b{_CLASS}\b")
_FILE = re.compile(r"\[FAILED_READ_FILE\S*\] Encountered error while reading file (\S+?)\.\s")
_FILE_OF_SPARK_3 = re.compile(
    r"cannot be converted in file (\S+?)\. Column|: (\S+) is not a Parquet file|CSV file: (\S+)|File (\S+) does not exist"
)
_SCAN = "org.apache.spark.sql.execution.datasources.FileScanRDD"
"""The reader of a source. Iceberg has its own, for the files of tables."""
_DISK_FULL = re.compile(r"No space left on device|Disk quota exceeded")
_NO_FILE_SYSTEM = re.compile(r'No FileSystem for scheme "?(\w+)|Class org\.apache\.hadoop\.fs\.(\w+)\.\w+ not found')
_MALFORMED = re.compile(r"MALFORMED_CSV_RECORD|MALFORMED_RECORD_IN_PARSING|JsonParseException")
_CSV_LIMIT = re.compile(r"TextParsingException[\s\S]*ArrayIndexOutOfBounds")
_OPEN_QUOTE = re.compile(r"TextParsingException: \S*Unescaped quote character")
_OTHER_TYPE = re.compile(r"PARQUET_COLUMN_DATA_TYPE_MISMATCH|SchemaColumnConvertNotSupported|ClassCastException")
_COLUMN = re.compile(r"column: \[([^\]]*)\]|Data type mismatches when reading Parquet column <([^>]*)>")
_OTHER_HEADER = re.compile(r"CSV header does not conform|Number of column in CSV header is not equal")


def spark_reason(error: Exception, spark_version: str = "") -> str:
    """The reason of a failure in one line, with the remedy if it is known.

    Args:
        error: An exception of Spark or of the connection to Java.
        spark_version: The version of Spark, for the names of its packages.
    """
    text = str(error)
    if "DATA_SOURCE_NOT_FOUND" in text:
        for name in ("delta", "iceberg"):
            if re.search(rf"data source: {name}\b", text):
                option = f"--packages {format_package(name, spark_version)}"
                return f"Spark needs a package for this format. Add {option} to spark-submit or to PYSPARK_SUBMIT_ARGS"
    if match := _NO_FILE_SYSTEM.search(text):
        scheme = match[1] or match[2]
        package = FILE_SYSTEMS.get(scheme, "its package")
        return f"Spark has no file system for {scheme}://: add --packages {package} to spark-submit or to PYSPARK_SUBMIT_ARGS"
    if parser := parser_reason(text):
        return parser
    if "Illegal file pattern" in text:
        return "a location is not a valid glob: write a backslash before [ ] { } * and ? that are part of a name"
    if "UNABLE_TO_INFER_SCHEMA" in text:
        return "there is no file with rows. Spark ignores files whose names begin with _ or a dot"
    causes = _CAUSE.findall(text)
    conditions = _CONDITION.findall(text)
    reason = causes[-1] if causes else conditions[0] if conditions else (text.splitlines() or [""])[0]
    return add_remedy(without_classes(reason))


def format_package(name: str, spark_version: str) -> str:
    """The Maven coordinates of `delta` or `iceberg` for a version of Spark, such as 4.1.4."""
    if name == "iceberg":
        return iceberg_packages(spark_version, CatalogType.HADOOP)[0]
    minor = spark_version.rpartition(".")[0]
    return f"io.delta:{DELTA.get(minor, f'delta-spark_{minor}_2.13')}:VERSION"


def without_classes(reason: str) -> str:
    """A message without Java's class names, which tell a user nothing.

    A message that is nothing else, such as an index, is named an internal error.
    """
    plain = _SQLSTATE.sub("", _LEADING_CLASS.sub("", reason)).strip()
    if not re.search(r"[a-z]+ [a-z]+", plain, re.IGNORECASE):
        return f"an internal error of Spark ({_ANY_CLASS.sub('…', plain) or 'without a message'}): see Spark's log"
    return _ANY_CLASS.sub(lambda match: match[0].rpartition(".")[2], plain)


def source_error(text: str) -> UndertoneError | None:
    """The error of a file of the source that cannot be read; None if the text is about another.

    Args:
        text: The text of Spark's exception, with its causes.
    """
    parser = parser_reason(text)
    file = source_file(text)
    if file is None:
        return None if parser is None else InputError(parser)
    if parser is not None:
        return InputError(f"{file} cannot be read: {parser}")
    if _OTHER_HEADER.search(text):
        return InputError(
            f"{file} cannot be read: its CSV header differs from that of another file of the source. Write the same columns in"
            " the same order, or score the files with one run each and --deletions ignore"
        )
    if _OTHER_TYPE.search(text):
        column = _COLUMN.search(text)
        name = f"the column {(column[1] or column[2])!r}" if column else "a column"
        return InputError(
            f"{file} cannot be read: {name} has another type than in the other files of the source. Write the column with the"
            " same type in all files"
        )
    causes = [cause for cause in _CAUSE.findall(text) if "FAILED_READ_FILE" not in cause]
    return InputError(f"{file} cannot be read: {add_remedy(without_classes(causes[-1])) if causes else 'see the log of Spark'}")


def source_file(text: str) -> str | None:
    """The file of the source that an exception is about; None if it is about another."""
    if match := _FILE.search(text):
        return match[1]
    if _SCAN not in text:
        return None
    if match := _FILE_OF_SPARK_3.search(text):
        return str(match[match.lastindex or 0])
    return "a file of the source" if _OTHER_TYPE.search(text) else None


def parser_reason(text: str) -> str | None:
    """Why a CSV or JSON parser failed; None if it did not.

    Its own message quotes the text of the row.
    """
    if _OPEN_QUOTE.search(text):
        return "a field in quotes contains a quote that is not doubled, or is not closed: correct the row"
    if _CSV_LIMIT.search(text):
        return "a row has more columns or longer fields than maxColumns or maxCharsPerColumn: raise --option maxColumns=NUMBER"
    if _MALFORMED.search(text):
        return (
            "a row of the source cannot be parsed, and --option mode=FAILFAST ends the run: remove the option, so that such"
            " rows become dead letters, or correct the row"
        )
    return None


def add_remedy(reason: str) -> str:
    """Adds the remedy to a message of Java about a full disk. Returns other messages unchanged."""
    if not _DISK_FULL.search(reason):
        return reason
    return (
        f"{reason}. The disk of the table or of an executor (spark.local.dir) is full. Free some space: the next run continues"
        " after the last commit"
    )
