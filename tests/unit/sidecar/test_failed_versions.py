"""When a version that could not be loaded is tried again."""

from undertone_sidecar.errors import ContractError
from undertone_sidecar.failed_versions import MAX_DELAY_SECONDS, FailedVersions

ERROR = ContractError("a wrong contract")


def test_delay_doubles_up_to_the_maximum() -> None:
    now = 0.0
    failed = FailedVersions(1.0, lambda: now)
    assert failed.postponed(2) is None
    delays = []
    for _ in range(8):
        failed.add(2, ERROR)
        start = now
        while failed.postponed(2) is ERROR:
            now += 0.5
        delays.append(now - start)
    assert delays == [1, 2, 4, 8, 16, 30, 30, 30]
    assert delays[-1] == MAX_DELAY_SECONDS


def test_only_a_new_error_is_reported() -> None:
    failed = FailedVersions(1.0, lambda: 0.0)
    assert failed.add(2, ERROR)
    assert not failed.add(2, ContractError("a wrong contract"))
    assert failed.add(2, ContractError("another error"))
    assert failed.add(3, ERROR)


def test_version_that_was_unloaded_is_new() -> None:
    failed = FailedVersions(1.0, lambda: 0.0)
    failed.add(2, ERROR)
    failed.add(3, ERROR)
    failed.keep([1, 3])
    assert (failed.postponed(2), failed.postponed(3)) == (None, ERROR)
