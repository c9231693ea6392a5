import pickle
from collections.abc import Callable

import pytest
from undertone_batch import JobConfig, RunMode, Service, Source
from undertone_client import SettingsError

SERVICE = Service("localhost:50051")


@pytest.mark.parametrize(
    ("create", "message"),
    [
        (lambda: JobConfig(RunMode.DAILY, Source(("s",)), "t", SERVICE, max_failed_share=1.5), "max_failed_share is 1.5"),
        (lambda: JobConfig(RunMode.DAILY, Source(("s",)), "t", SERVICE, wave_rows=0), "wave_rows is 0"),
        (lambda: JobConfig(RunMode.DAILY, Source(("s",)), "t", SERVICE, bucket_count=0), "bucket_count is 0"),
        (lambda: JobConfig(RunMode.DAILY, Source(("s",)), "t", SERVICE, run_id="../up"), "'../up' cannot be part"),
        (lambda: Service("http://localhost"), "has a URL scheme"),
    ],
)
def test_invalid_values_are_rejected(create: Callable[[], object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        create()


def test_a_service_equals_its_copy_in_another_process() -> None:
    copy = pickle.loads(pickle.dumps(SERVICE))  # noqa: S301 - created here
    assert copy == SERVICE
    assert hash(copy) == hash(SERVICE)
