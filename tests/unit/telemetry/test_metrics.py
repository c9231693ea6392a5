from itertools import pairwise

import pytest
from undertone_telemetry import DURATION_BUCKETS, SIZE_BUCKETS, Kind, Metric


@pytest.mark.parametrize(
    ("kind", "name", "buckets", "problem"),
    [
        (Kind.COUNTER, "calls", (), "only the names of counters end with _total"),
        (Kind.GAUGE, "calls_total", (), "only the names of counters end with _total"),
        (Kind.INFO, "model", (), "only the names of infos end with _info"),
        (Kind.GAUGE, "model_info", (), "only the names of infos end with _info"),
        (Kind.HISTOGRAM, "wait_seconds", (), "has 0 buckets; only histograms have buckets"),
        (Kind.GAUGE, "wait_seconds", (1.0,), "has 1 buckets; only histograms have buckets"),
        (Kind.HISTOGRAM, "wait_seconds", (1.0, 1.0, 2.0), "each must exceed the previous one"),
    ],
)
def test_a_contradictory_metric_is_rejected(kind: Kind, name: str, buckets: tuple[float, ...], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Metric(name, kind, "Help.", buckets=buckets)


def test_buckets_are_geometric() -> None:
    assert (DURATION_BUCKETS[0], DURATION_BUCKETS[-1], len(DURATION_BUCKETS)) == (0.001, 65.536, 17)
    assert {later / earlier for earlier, later in pairwise(DURATION_BUCKETS)} == {2.0}
    assert (SIZE_BUCKETS[0], SIZE_BUCKETS[-1], len(SIZE_BUCKETS)) == (256.0, 2.0**24, 9)
