"""Exceptions of the job, and their creation from Spark's exceptions.

UndertoneError
├── ServiceError …                           as in `undertone_client.errors`
├── InputError, OutputError                  as in `undertone_client.jobs`
└── JobError                                 the run failed
    └── TooManyFailedError                   more paragraphs failed than --max-failed-share allows
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from undertone_client import UndertoneError
from undertone_client.errors import service_error


class JobError(UndertoneError):
    """The run failed. The table contains the scores of all commits before."""


class TooManyFailedError(JobError):
    """More paragraphs failed than --max-failed-share allows. They are in the dead letters."""


_SERVICE_ERROR = re.compile(r"^undertone_client\.errors\.\w+: ([A-Z_]+): (.*)$", re.MULTILINE)
_CAUSE = re.compile(r"^(?:Caused by: |: )?([\w.$]+(?:Exception|Error)): (.*)$", re.MULTILINE)
_MALFORMED_CSV = re.compile(r"MALFORMED_CSV_RECORD|MALFORMED_RECORD_IN_PARSING")
_DISK_FULL = re.compile(r"No space left on device|Disk quota exceeded")


@contextmanager
def explain_spark_errors() -> Iterator[None]:
    """Converts exceptions of Spark.

    The ServiceError of a Python worker is raised again. All others become a JobError with the
    innermost cause.
    """
    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        text = str(error)
        if match := _SERVICE_ERROR.search(text):
            raise service_error(grpc.StatusCode[match[1]], match[2]) from None
        if _MALFORMED_CSV.search(text):  # Spark's message quotes the row, which is text of a user
            raise JobError(
                "a row of the CSV source has more or fewer fields than its header, so that a part of a text would be lost. Put"
                " fields with commas or line breaks into double quotes, or accept the loss with --option mode=PERMISSIVE"
            ) from None
        raise JobError(add_remedy(java_reason(error))) from None


def java_reason(error: Exception) -> str:
    """The innermost cause of an exception of Spark, in one line."""
    causes = _CAUSE.findall(str(error))
    return ": ".join(causes[-1]) if causes else str(error).splitlines()[0]


def add_remedy(reason: str) -> str:
    """Adds the remedy to a message of Java about a full disk. Returns other messages unchanged."""
    if not _DISK_FULL.search(reason):
        return reason
    return (
        f"{reason}. The disk of the table or of an executor (spark.local.dir) is full. Free some space: the next run continues"
        " after the last commit"
    )
