"""The record of the newest data of scheduled runs."""

from datetime import UTC, datetime, timedelta

import pytest
from undertone_batch.schedule import Schedule, ScheduledTime
from undertone_client import SettingsError

DAY = datetime(2026, 11, 28, tzinfo=UTC)


@pytest.mark.parametrize(("age", "skipped"), [(timedelta(0), False), (timedelta(days=-1), False), (timedelta(days=1), True)])
def test_only_a_source_that_is_older_than_the_table_is_skipped(age: timedelta, skipped: bool) -> None:
    reason = Schedule({"nightly": DAY}).reason_to_skip(ScheduledTime("backfill", DAY - age))
    assert (reason is not None) == skipped


def test_a_job_name_that_would_end_a_property_is_refused() -> None:
    with pytest.raises(SettingsError, match="--job"):
        ScheduledTime("nightly' = '1', 'other", DAY)
