from datetime import UTC, datetime

import pytest
from undertone_batch.version import Bucket, Version
from undertone_client.jobs import OutputError

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
FIRST = Version(
    number=1,
    bucket_count=4,
    labels=("joy", "fear"),
    run="one",
    committed_at=NOON,
    backfill_began_at=NOON,
    buckets={0: Bucket(3, ("data/a/0",)), 2: Bucket(5, ("data/a/2", "data/a/2b"))},
)


def test_a_successor_replaces_the_given_buckets() -> None:
    second = FIRST.successor({2: Bucket(6, ("data/b/2",)), 3: Bucket(1, ("data/b/3",))}, "two", NOON)
    assert (second.number, second.run, second.rows, second.backfill_began_at) == (2, "two", 10, None)
    assert second.files() == ["data/a/0", "data/b/2", "data/b/3"]
    assert second.files([2, 1]) == ["data/b/2"]


def test_new_emotions_follow_the_existing_ones() -> None:
    assert FIRST.with_labels(["awe", "fear"]).labels == ("joy", "fear", "awe")


def test_lost_and_duplicated_rows_are_detected() -> None:
    FIRST.check_rows({0: Bucket(4, ()), 1: Bucket(2, ())}, added={0: 1, 1: 2})
    for rows in (2, 4):
        with pytest.raises(OutputError, match=f"bucket 0 was written with {rows} rows instead of 3"):
            FIRST.check_rows({0: Bucket(rows, ())}, added={})


def test_json_restores_the_version() -> None:
    assert Version.from_json(FIRST.to_json(), "1.json") == FIRST


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', '{"format": 1, "number": "x"}'])
def test_a_damaged_file_is_rejected(text: str) -> None:
    with pytest.raises(OutputError, match=r"7\.json is not a version file"):
        Version.from_json(text, "7.json")


def test_a_different_format_is_rejected() -> None:
    with pytest.raises(OutputError, match="has format 2, but this release reads 1"):
        Version.from_json('{"format": 2}', "7.json")
