import grpc
import pytest
from pyspark.errors import PySparkException
from undertone_batch.errors import JobError, explain_spark_errors
from undertone_client import UnavailableError


def test_a_service_error_of_a_worker_is_raised_again() -> None:
    text = "Job aborted.\nTraceback:\nundertone_client.errors.UnavailableError: UNAVAILABLE: not now\n\tat x"
    with pytest.raises(UnavailableError) as error, explain_spark_errors():
        raise PySparkException(text)
    assert (error.value.status, error.value.reason) == (grpc.StatusCode.UNAVAILABLE, "not now")


def test_other_errors_are_explained_by_their_innermost_cause() -> None:
    text = "Job aborted.\n\tat x\nCaused by: java.io.IOException: No space left on device\n\tat y"
    message = r"^No space left on device\. .*Free some space"
    with pytest.raises(JobError, match=message), explain_spark_errors():
        raise PySparkException(text)
