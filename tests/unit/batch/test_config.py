import pickle
from collections.abc import Callable
from dataclasses import replace

import pytest
from undertone_batch import JobConfig, RunMode, Service, Source
from undertone_batch.layout import Layout
from undertone_client import SettingsError
from undertone_client.jobs.catalog import CatalogSettings, TableName

SERVICE = Service("localhost:50051")
CONFIG = JobConfig(RunMode.DAILY, Source(("s",)), TableName("a", "b"), CatalogSettings(warehouse="lake"), SERVICE)


@pytest.mark.parametrize(
    ("create", "message"),
    [
        (lambda: replace(CONFIG, max_failed_share=1.5), "max_failed_share is 1.5"),
        (lambda: replace(CONFIG, wave_rows=0), "wave_rows is 0"),
        (lambda: replace(CONFIG, run_id="../up"), "the run id '../up' is invalid"),
        (lambda: Layout(bucket_count=0), "bucket_count is 0"),
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
