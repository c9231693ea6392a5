from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from undertone_batch.iceberg_staging import branch_created_at, new_branch_name


@given(st.datetimes(min_value=datetime(2000, 1, 1), timezones=st.just(timezone(timedelta(hours=5)))))
def test_the_name_of_a_branch_tells_its_time_to_the_second(time: datetime) -> None:
    assert branch_created_at(new_branch_name(time)) == time.astimezone(UTC).replace(microsecond=0)


@pytest.mark.parametrize(
    "name",
    [
        "main",
        "undertone_audit",
        "undertone_0123456789ab",
        "undertone_20261399t250000z_0123456789ab",
        "undertone_audit_20260101t000000z",
    ],
)
def test_branches_of_other_programs_have_no_time(name: str) -> None:
    assert branch_created_at(name) is None


def test_names_of_the_same_time_differ() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert new_branch_name(now) != new_branch_name(now)
