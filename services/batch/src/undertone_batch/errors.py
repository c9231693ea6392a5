"""Exceptions of the job, and their creation from Spark's exceptions.

UndertoneError
├── ServiceError …                           as in `undertone_client.errors`
├── InputError, OutputError                  as in `undertone_client.jobs`
│   └── TooManyDeletedError                  the source lacks more than --max-deleted-share
└── JobError                                 the run failed
    ├── JavaLostError                        Spark's Java process has ended
    └── TooManyFailedError                   more paragraphs failed than --max-failed-share allows
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from py4j.protocol import Py4JError, Py4JJavaError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from undertone_client import UndertoneError
from undertone_client.errors import service_error
from undertone_client.jobs import InputError

from undertone_batch.spark_reasons import source_error, spark_reason


class JobError(UndertoneError):
    """The run failed. The table contains the scores of all commits before."""


class TooManyFailedError(JobError):
    """More paragraphs failed than --max-failed-share allows. They are in the dead letters."""


class TooManyDeletedError(InputError):
    """The source lacks more of the table's paragraphs than --max-deleted-share allows.

    Nothing was scored.
    """


class JavaLostError(JobError):
    """The Java process of the driver has ended."""


_SERVICE_ERROR = re.compile(r"^undertone_client\.errors\.\w+: ([A-Z_]+): (.*)$", re.MULTILINE)


@contextmanager
def explain_spark_errors() -> Iterator[None]:
    """Converts exceptions of Spark and of the connection to its Java process.

    The ServiceError of a Python worker is raised again. A file of the source that cannot be read
    is an InputError, the end of the Java process a JavaLostError. All others become a JobError with
    the innermost cause.
    """
    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        text = str(error)
        if match := _SERVICE_ERROR.search(text):
            raise service_error(grpc.StatusCode[match[1]], match[2]) from None
        raise (source_error(text) or JobError(spark_reason(error))) from None
    except (Py4JError, ConnectionError) as error:
        if "Trace:" in str(error):  # a wrong call of Java, which is a programming error
            raise
        raise JavaLostError(
            "Spark's Java process has ended: it was killed, or its memory was exhausted. The scores of earlier commits are in"
            " the table, and the next run continues from there"
        ) from None
