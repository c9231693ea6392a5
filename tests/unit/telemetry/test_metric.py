from itertools import pairwise

import pytest
from undertone_telemetry.calls import CLIENT_CATALOGUE, SERVER_CATALOGUE
from undertone_telemetry.fanout import CATALOGUE
from undertone_telemetry.metric import BYTES, SECONDS, Kind, Metric


@pytest.mark.parametrize(
    ("kind", "name", "buckets", "problem"),
    [
        (Kind.COUNTER, "calls", (), "names of counters, and of nothing else, end with _total"),
        (Kind.GAUGE, "calls_total", (), "names of counters, and of nothing else, end with _total"),
        (Kind.INFO, "model", (), "names of infos, and of nothing else, end with _info"),
        (Kind.GAUGE, "model_info", (), "names of infos, and of nothing else, end with _info"),
        (Kind.HISTOGRAM, "wait_seconds", (), "has 0 buckets; histograms, and nothing else, need some"),
        (Kind.GAUGE, "wait_seconds", (1.0,), "has 1 buckets; histograms, and nothing else, need some"),
        (Kind.HISTOGRAM, "wait_seconds", (1.0, 1.0, 2.0), "they must rise"),
    ],
)
def test_a_metric_that_lies_is_refused(kind: Kind, name: str, buckets: tuple[float, ...], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Metric(name, kind, "What it says.", buckets=buckets)


def test_buckets_are_geometric() -> None:
    assert (SECONDS[0], SECONDS[-1], len(SECONDS)) == (0.001, 65.536, 17)
    assert {later / earlier for earlier, later in pairwise(SECONDS)} == {2.0}
    assert (BYTES[0], BYTES[-1], len(BYTES)) == (256.0, 2.0**24, 9)


def test_the_names_of_both_sides_are_those_of_the_ecosystem() -> None:
    suffixes = ("started_total", "handled_total", "handling_seconds", "in_flight", "request_bytes", "response_bytes")
    assert [metric.name for metric in SERVER_CATALOGUE] == [
        *(f"grpc_server_{suffix}" for suffix in suffixes),
        "grpc_server_deadline_left_seconds",
    ]
    assert [metric.name for metric in CLIENT_CATALOGUE] == [f"grpc_client_{suffix}" for suffix in suffixes]
    assert [metric.name for metric in CATALOGUE] == ["undertone_telemetry_errors_total"]
