"""Exceptions of the job, and the way from Spark's to them.

UndertoneError
├── ServiceError …                           as in `undertone_client.errors`
├── InputError, OutputError                  as in `undertone_client.jobs`
└── JobError                                 the run failed
    └── TooManyFailedError                   more paragraphs than allowed have no score
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
    """The run failed; what it has committed before is in the table."""


class TooManyFailedError(JobError):
    """More paragraphs than allowed have no score; they are in the dead letters."""


_SERVICE_ERROR = re.compile(r"^undertone_client\.errors\.\w+: ([A-Z_]+): (.*)$", re.MULTILINE)
_CAUSE = re.compile(r"^(?:Caused by: |: )?([\w.$]+(?:Exception|Error)): (.*)$", re.MULTILINE)
_FULL = re.compile(r"No space left on device|Disk quota exceeded")


@contextmanager
def spark_explained() -> Iterator[None]:
    """Turns Spark's exceptions into one of the tree: the service's own from a Python worker, or else the innermost cause."""
    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        text = str(error)
        if found := _SERVICE_ERROR.search(text):
            raise service_error(grpc.StatusCode[found[1]], found[2]) from None
        causes = _CAUSE.findall(text)
        raise JobError(with_remedy(": ".join(causes[-1]) if causes else text.splitlines()[0])) from None


def with_remedy(reason: str) -> str:
    """What Java says of a disk that is full, and what to do; anything else as it is."""
    if not _FULL.search(reason):
        return reason
    return (
        f"{reason}. The disk of the table is full, or that of an executor (spark.local.dir). Make room, and the next run"
        " goes on from the last commit"
    )
