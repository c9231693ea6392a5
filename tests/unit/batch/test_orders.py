"""What cannot work is refused before Spark is started, and Spark's own failures are put into words."""

import pickle
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner
from pyspark.errors import PySparkException
from undertone_batch import Order, RunMode, Service, Source
from undertone_batch.command import undertone_batch
from undertone_batch.errors import JobError, spark_explained
from undertone_batch.table import schema
from undertone_client import SettingsError, UnavailableError
from undertone_client.jobs import OutputError

SERVICE = Service("localhost:50051")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Order(RunMode.DAILY, Source(("s",)), "t", SERVICE, max_failed_share=1.5), "max_failed_share is 1.5"),
        (lambda: Order(RunMode.DAILY, Source(("s",)), "t", SERVICE, wave_rows=0), "wave_rows is 0"),
        (lambda: Order(RunMode.DAILY, Source(("s",)), "t", SERVICE, bucket_count=0), "bucket_count is 0"),
        (lambda: Order(RunMode.DAILY, Source(("s",)), "t", SERVICE, run="../up"), "'../up' cannot be part"),
        (lambda: Service("http://localhost"), "has a scheme"),
    ],
)
def test_orders_that_cannot_work(make: Callable[[], object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        make()


def test_an_emotion_cannot_have_the_name_of_another_column() -> None:
    assert schema(["joy"]).names[:4] == ["id", "text_sha256", "label", "joy"]
    with pytest.raises(OutputError, match="an emotion named 'tokens'"):
        schema(["joy", "tokens"])


def test_equal_services_are_one_in_each_process() -> None:
    travelled = pickle.loads(pickle.dumps(SERVICE))  # noqa: S301 - made here
    assert travelled == SERVICE
    assert hash(travelled) == hash(SERVICE)


def test_a_workers_error_of_the_service_is_the_services_error() -> None:
    text = "Job aborted.\nTraceback:\nundertone_client.errors.UnavailableError: UNAVAILABLE: not now\n\tat x"
    with pytest.raises(UnavailableError) as raised, spark_explained():
        raise PySparkException(text)
    assert (raised.value.status, raised.value.reason) == (grpc.StatusCode.UNAVAILABLE, "not now")


def test_other_failures_are_told_by_their_innermost_cause() -> None:
    text = "Job aborted.\n\tat x\nCaused by: java.io.IOException: No space left on device\n\tat y"
    with pytest.raises(JobError, match=r"^java\.io\.IOException: No space left on device\. .*Make room"), spark_explained():
        raise PySparkException(text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--option", "sep"], "write NAME=VALUE"),
        (["--limit", "many"], "--limit 'many' is invalid: use adaptive, aimd or a number."),
        (["--attempts", "0"], "0 is not in the range x>=1"),
        (["--max-failed-share", "2"], "max_failed_share is 2.0"),
        (["--key", __file__], "add --tls"),
        (["--mode", "weekly"], "'weekly' is not one of"),
    ],
)
def test_the_command_refuses_them_too(arguments: list[str], message: str, tmp_path: Path) -> None:
    command = ["run", "--mode", "daily", "--source", str(tmp_path), "--table", str(tmp_path / "table"), *arguments]
    done = CliRunner().invoke(undertone_batch, command)
    assert done.exit_code == 2
    assert message in done.output
